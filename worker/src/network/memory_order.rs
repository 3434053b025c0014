//! The order of a tensor's numbers in memory, where libtorch convolves.

use tch::Tensor;

use super::error::ComputeError;

/// The same numbers with channels as the fastest dimension in memory; copies only if they are not already.
///
/// # Errors
/// Memory ran out.
pub fn channels_last(tensor: Tensor) -> Result<Tensor, ComputeError> {
    let last = tensor.f_permute([0, 2, 3, 1])?;
    Ok(last.f_contiguous()?.f_permute([0, 3, 1, 2])?)
}
