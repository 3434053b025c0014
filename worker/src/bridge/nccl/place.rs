//! Where a communicator's operations go, and which tensors can go there. Called by `super::Communicator`.

use std::ptr;

use cudarc::nccl::sys;
use tch::{Device, Kind, Tensor};

use crate::bridge::error::{BridgeError, check};
use crate::bridge::raw;

/// Where a communicator's operations are put, and what memory they take.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub(super) device: Device,
    pub(super) stream: sys::cudaStream_t,
}

// SAFETY: a stream's handle is a name; CUDA takes it from any thread.
unsafe impl Send for Place {}

impl Place {
    /// The calling thread's current stream of a GPU. On a CPU, where tests put a library of their own into NCCL's place,
    /// there is none.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn current(device: Device) -> Result<Self, BridgeError> {
        let mut stream = ptr::null_mut();
        if let Device::Cuda(index) = device {
            let number = i32::try_from(index).unwrap_or(i32::MAX);
            // SAFETY: the slot is a local of this frame; the function throws nothing and returns a text for `check`.
            unsafe {
                check("find a GPU's stream", raw::bridge_device_stream(number, &raw mut stream))?;
            }
        }
        Ok(Self { device, stream: stream.cast() })
    }
}

/// Bytes of its memory.
pub(super) fn bytes_of(tensor: &Tensor) -> usize {
    tensor.numel() * tensor.kind().elt_size_in_bytes()
}

/// NCCL's name for numbers that it adds.
pub(super) fn kind_of(kind: Kind) -> Option<sys::ncclDataType_t> {
    use sys::ncclDataType_t as Nccl;
    Some(match kind {
        Kind::Uint8 => Nccl::ncclUint8,
        Kind::Int => Nccl::ncclInt32,
        Kind::Int64 => Nccl::ncclInt64,
        Kind::Half => Nccl::ncclFloat16,
        Kind::BFloat16 => Nccl::ncclBfloat16,
        Kind::Float => Nccl::ncclFloat32,
        Kind::Double => Nccl::ncclFloat64,
        _ => return None,
    })
}
