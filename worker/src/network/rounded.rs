//! Convolutions that multiply numbers of fewer bits than the passes' (`--precision bf16`), by libtorch. `layers` calls it
//! where the engine does not convolve.

use common::architecture::{ConvolutionLayer, PADDING};
use engine::{Images, Observer};
use tch::{Device, Kind, Tensor};

use super::alone_at_first::alone_at_first;
use super::error::ComputeError;
use super::memory_order::channels_last;
use super::products::{Flow, ToInput};
use super::weights::Weights;
use crate::bridge::{self, InputGradient, with_slice, with_slice_mut};
use crate::mathematics::kernels::Float;

/// A layer's convolution.
pub(super) fn forward<T: Float>(
    flow: Flow<'_, T>,
    layer: usize,
    weights: &Weights,
) -> Result<(), ComputeError> {
    let shape = weights.layout.architecture.convolutions[layer];
    let kernel = &weights.convolutions[layer];
    let input = tensor(flow.input, (shape, shape.inputs), kernel.kind())?;
    let output = alone_at_first("forward", [&input, kernel], || {
        input.f_conv2d(kernel, None::<Tensor>, [1, 1], [PADDING as i64; 2], [1, 1], 1)
    })?;
    images(&output, flow.input.count(), flow.output, flow.observer)
}

/// Its gradients, given its output's and its input.
pub(super) fn backward<T: Float>(
    (gradient, input): (&dyn Images<T>, &dyn Images<T>),
    layer: usize,
    weights: &Weights,
    to_kernel: &mut [T],
    to_input: Option<ToInput<'_, T>>,
) -> Result<(), ComputeError> {
    let shape = weights.layout.architecture.convolutions[layer];
    let kernel = &weights.convolutions[layer];
    let count = input.count();
    let gradient = tensor(gradient, (shape, shape.outputs), kernel.kind())?;
    let input = tensor(input, (shape, shape.inputs), kernel.kind())?;
    let need = if to_input.is_some() { InputGradient::Needed } else { InputGradient::Skipped };
    let (of_input, of_kernel) = alone_at_first("backward", [&input, kernel], || {
        bridge::convolution_backward(&gradient, &input, kernel, PADDING as i64, need)
    })?;
    let of_kernel = channels_last(of_kernel.f_to_kind(T::KIND)?)?;
    with_slice(&of_kernel, |numbers: &[T]| to_kernel.copy_from_slice(numbers))?;
    match (to_input, of_input) {
        (Some(ToInput { gradient, observer }), Some(of_input)) => {
            images(&of_input, count, gradient, observer)
        }
        _ => Ok(()),
    }
}

/// Images as a tensor `[images, channels, height, width]` of another kind, with channels as the fastest dimension in memory.
fn tensor<T: Float>(
    images: &dyn Images<T>,
    (layer, channels): (ConvolutionLayer, usize),
    kind: Kind,
) -> Result<Tensor, ComputeError> {
    let size = [images.count(), layer.height, layer.width, channels].map(|it| it as i64);
    let mut tensor = Tensor::f_empty(size, (T::KIND, Device::Cpu))?;
    with_slice_mut(&mut tensor, |numbers: &mut [T]| {
        let mut room = vec![T::ZERO; layer.positions() * channels];
        for (image, numbers) in numbers.chunks_exact_mut(room.len()).enumerate() {
            numbers.copy_from_slice(images.image(image, &mut room));
        }
    })?;
    Ok(tensor.f_permute([0, 3, 1, 2])?.f_to_kind(kind)?)
}

/// Such a tensor as images in memory, of each of which the observer is told.
fn images<T: Float>(
    tensor: &Tensor,
    count: usize,
    to: &mut [T],
    observer: Observer<'_, T>,
) -> Result<(), ComputeError> {
    let tensor = channels_last(tensor.f_to_kind(T::KIND)?)?;
    with_slice(&tensor, |numbers: &[T]| to.copy_from_slice(numbers))?;
    for (image, numbers) in to.chunks_exact(to.len() / count).enumerate() {
        observer(image, numbers);
    }
    Ok(())
}
