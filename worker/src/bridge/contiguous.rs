//! What both engines of the collectives ask of a tensor before it crosses.

use tch::{Device, Tensor};

use super::error::BridgeError;

/// Contiguous, and in the memory of `device`.
pub(super) fn require_contiguous(
    operation: &'static str,
    tensor: &Tensor,
    device: Device,
) -> Result<(), BridgeError> {
    let suitable = tensor.defined()
        && tensor.device() == device
        && !tensor.is_sparse()
        && !tensor.is_mkldnn()
        && tensor.is_contiguous();
    if suitable {
        return Ok(());
    }
    Err(BridgeError::Unsuitable {
        operation,
        expected: match device {
            Device::Cpu => "a contiguous tensor on the CPU".into(),
            device => format!("a contiguous tensor on {device:?}"),
        },
        found: match tensor.defined() {
            true => format!("sizes {:?} on {:?}", tensor.size(), tensor.device()),
            false => "none".into(),
        },
    })
}
