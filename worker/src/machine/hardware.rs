//! What this worker computes on, in words.

use common::KERNEL_VERSION;
use tch::Device;

use crate::bridge::cuda;
use crate::machine::device::Place;

/// What computes: the processor or the GPU, and whose kernels where they are not the usual ones.
pub fn describe(place: Place) -> String {
    match place {
        Place { device: Device::Cuda(number), .. } => gpu(number),
        Place { tensors: true, .. } => format!("{}, libtorch's kernels", processor()),
        Place { tensors: false, .. } => processor(),
    }
}

/// Version of the program's own kernels where they compute, 0 where others do.
pub fn kernels(place: Place) -> u32 {
    if place.tensors { 0 } else { KERNEL_VERSION }
}

/// The GPU's model, or its number where CUDA does not tell.
fn gpu(number: usize) -> String {
    cuda::name_of(number).unwrap_or_else(|| format!("CUDA GPU {number}"))
}

/// The processor's model and the widest vector instructions it has, which choose the kernels.
pub fn processor() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_string())
    };
    let model = field("model name").unwrap_or_else(|| std::env::consts::ARCH.to_string());
    let flags = field("flags").unwrap_or_default();
    let has = |flag: &str| flags.split(' ').any(|other| other == flag);
    let vectors = ["amx_bf16", "avx512f", "avx2", "avx"].into_iter().find(|flag| has(flag));
    match vectors {
        Some(vectors) => format!("{model} ({vectors})"),
        None => model,
    }
}

/// The machine, until it is started again: the same in its containers, and as a rule for no other; empty where the system
/// does not tell.
pub fn machine() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_string()
}
