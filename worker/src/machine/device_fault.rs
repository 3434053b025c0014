//! What a failure on a GPU means, from libtorch's words: what the user reads beside them. The worker ends in any case,
//! and the others go on as after any loss.

/// What went wrong with a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceFault {
    /// Its memory is full.
    OutOfMemory,
    /// Its memory is damaged (ECC).
    Ecc,
    /// It has left the bus, or the driver has lost it.
    Lost,
    /// The driver is older than the CUDA libraries, or they do not fit together.
    Driver,
    /// The service that joins the GPUs of an NVSwitch machine does not run.
    Fabric,
    /// It is too old or too new for the kernels in this libtorch.
    NoKernels,
    /// A kernel did something forbidden: a defect, or a failing GPU.
    Kernel,
}

/// Parts of messages, and what they mean; the first that fits counts.
const SIGNS: &[(&str, DeviceFault)] = &[
    ("out of memory", DeviceFault::OutOfMemory),
    ("status_alloc_failed", DeviceFault::OutOfMemory),
    ("uncorrectable ecc", DeviceFault::Ecc),
    ("ecc error", DeviceFault::Ecc),
    ("row remapping", DeviceFault::Ecc),
    ("uncorrectable nvlink", DeviceFault::Lost),
    ("fallen off the bus", DeviceFault::Lost),
    ("device is lost", DeviceFault::Lost),
    ("gpu is lost", DeviceFault::Lost),
    ("busy or unavailable", DeviceFault::Lost),
    ("no cuda-capable device", DeviceFault::Lost),
    ("driver version is insufficient", DeviceFault::Driver),
    ("driver on your system is too old", DeviceFault::Driver),
    ("system has unsupported display driver", DeviceFault::Driver),
    ("system not yet initialized", DeviceFault::Fabric),
    ("no kernel image is available", DeviceFault::NoKernels),
    ("unspecified launch failure", DeviceFault::Kernel),
    ("illegal memory access", DeviceFault::Kernel),
    ("illegal instruction", DeviceFault::Kernel),
    ("invalid program counter", DeviceFault::Kernel),
    ("hardware stack error", DeviceFault::Kernel),
    ("misaligned address", DeviceFault::Kernel),
    ("device-side assert", DeviceFault::Kernel),
    ("launch timed out", DeviceFault::Kernel),
    ("_execution_failed", DeviceFault::Kernel),
];

impl DeviceFault {
    /// What a message of libtorch tells of, if it is one of these.
    pub fn of(message: &str) -> Option<Self> {
        let message = message.to_lowercase();
        SIGNS.iter().find(|(sign, _)| message.contains(sign)).map(|(_, fault)| *fault)
    }

    /// What the user can do.
    pub fn advice(self) -> &'static str {
        match self {
            Self::OutOfMemory => {
                "the device's memory is full: end what else uses it, take a smaller --batch-size, or spread the run over \
                 more workers"
            }
            Self::Ecc => {
                "the GPU's memory is damaged: take it out of service, `nvidia-smi -q -d ECC` tells more"
            }
            Self::Lost => {
                "the GPU is lost: `nvidia-smi` and the system's log (Xid) tell more; it may need a reset"
            }
            Self::Driver => {
                "the NVIDIA driver does not fit CUDA 13: install driver 580 or newer, or use --device cpu"
            }
            Self::Fabric => {
                "the GPUs of this machine are not joined yet: start nvidia-fabricmanager, of the driver's version"
            }
            Self::NoKernels => {
                "this libtorch has no kernels for this GPU's model: use --device cpu, or another GPU"
            }
            Self::Kernel => {
                "a kernel failed on the GPU: if it happens on this GPU alone, suspect the GPU"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_tell_what_happened() {
        for (message, expected) in [
            ("CUDA out of memory. Tried to allocate 2.00 GiB.", Some(DeviceFault::OutOfMemory)),
            ("CUDA error: uncorrectable ECC error encountered", Some(DeviceFault::Ecc)),
            (
                "CUDA error: CUDA-capable device(s) is/are busy or unavailable",
                Some(DeviceFault::Lost),
            ),
            ("CUDA error: an illegal memory access was encountered", Some(DeviceFault::Kernel)),
            (
                "CUDA error: no kernel image is available for execution on the device",
                Some(DeviceFault::NoKernels),
            ),
            (
                "The NVIDIA driver on your system is too old (found version 11040).",
                Some(DeviceFault::Driver),
            ),
            ("CUDA error: no CUDA-capable device is detected", Some(DeviceFault::Lost)),
            ("CUDA error: system not yet initialized", Some(DeviceFault::Fabric)),
            (
                "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
                Some(DeviceFault::OutOfMemory),
            ),
            ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", Some(DeviceFault::Kernel)),
            ("CUDA error: an illegal instruction was encountered", Some(DeviceFault::Kernel)),
            ("size mismatch, got 3, expected 4", None),
        ] {
            assert_eq!(DeviceFault::of(message), expected, "{message}");
        }
    }
}
