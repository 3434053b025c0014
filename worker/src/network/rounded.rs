//! Convolutions that multiply numbers of fewer bits than the passes' (`--precision bf16`), by libtorch. `layers` calls it
//! where the engine does not convolve.

use tch::Tensor;

use super::alone_at_first::alone_at_first;
use super::error::ComputeError;
use super::layers::{PADDING, channels_first_view, channels_last};
use crate::bridge::{self, InputGradient};
use crate::mathematics::kernels::Float;

/// The convolution of an input, in the passes' numbers and memory order.
pub(super) fn forward<T: Float>(input: &Tensor, kernel: &Tensor) -> Result<Tensor, ComputeError> {
    let padding = [PADDING, PADDING];
    let input = input.f_to_kind(kernel.kind())?;
    let output = alone_at_first("forward", [&input, kernel], || {
        input.f_conv2d(kernel, None::<Tensor>, [1, 1], padding, [1, 1], 1)
    })?;
    channels_last(output.f_to_kind(T::KIND)?)
}

/// Its gradients, given that of its output, `[images, height, width, outputs]`, and the input in the kernel's numbers: of
/// the input if needed, of the kernel.
pub(super) fn backward<T: Float>(
    gradient: &Tensor,
    input: &Tensor,
    kernel: &Tensor,
    need: InputGradient,
) -> Result<(Option<Tensor>, Tensor), ComputeError> {
    let gradient = channels_first_view(gradient).f_to_kind(kernel.kind())?;
    let (to_input, to_kernel) = alone_at_first("backward", [input, kernel], || {
        bridge::convolution_backward(&gradient, input, kernel, PADDING, need)
    })?;
    let to_input = to_input.map(|to_input| channels_last(to_input.f_to_kind(T::KIND)?));
    Ok((to_input.transpose()?, to_kernel))
}
