//! The convolutional layers as training and evaluation compute them alike, on the samples of one logical shard.
//!
//! Tensors are `[images, channels, height, width]` with channels as the fastest dimension in memory, the order that the
//! fused passes take and the convolutions are fastest with.

use common::architecture::{ConvolutionLayer, IMAGE_PIXELS, IMAGE_SIDE, KERNEL_SIDE};
use tch::{Device, Tensor};

use super::error::ComputeError;
use super::prepared::Prepared;
use super::products::Means;
use super::rounded;
use crate::bridge::{InputGradient, with_slice, with_slice_mut};
use crate::mathematics::kernels::activation::{
    normalise_activate_and_pool, normalise_and_activate,
};
use crate::mathematics::kernels::{Activation, Extent, Float};

/// Zeros around a convolution's input, which keep its height and width.
pub const PADDING: i64 = KERNEL_SIDE as i64 / 2;

/// Pixels of whole images, `[samples, 28, 28]`, translated by `table`, as the network's input `[samples, 1, 28, 28]`.
pub fn images<T: Float>(pixels: &[u8], table: &[T; 256]) -> Result<Tensor, ComputeError> {
    let side = IMAGE_SIDE as i64;
    let samples = (pixels.len() / IMAGE_PIXELS) as i64;
    let mut images = Tensor::f_empty([samples, side, side, 1], (T::KIND, Device::Cpu))?;
    with_slice_mut(&mut images, |images: &mut [T]| {
        for (image, pixel) in images.iter_mut().zip(pixels) {
            *image = table[usize::from(*pixel)];
        }
    })?;
    Ok(channels_first_view(&images))
}

/// A layer's convolution of an input, in the passes' numbers and memory order.
///
/// # Errors
/// What libtorch says; memory ran out.
pub fn convolution<T: Float>(
    input: &Tensor,
    layer: usize,
    Prepared { weights, products }: &Prepared,
    means: &mut Means<'_>,
) -> Result<Tensor, ComputeError> {
    let Some(product) = products.convolutions.get(layer) else {
        return rounded::forward::<T>(input, &weights.convolutions[layer]);
    };
    let shape = product.layer.shape();
    let size = [shape.output_height(), shape.output_width(), shape.outputs].map(|it| it as i64);
    let size = [input.size()[0], size[0], size[1], size[2]];
    let mut output = Tensor::f_empty(size, (T::KIND, Device::Cpu))?;
    with_slice(input, |input: &[T]| {
        with_slice_mut(&mut output, |output: &mut [T]| product.forward(input, output, means))
    })??;
    Ok(channels_first_view(&output))
}

/// The gradients of [`convolution`], given that of its output, `[images, height, width, outputs]`: the kernel's is written
/// into the flat `to_parameters`, the input's returned where it is needed.
///
/// # Errors
/// What libtorch says; memory ran out.
pub fn convolution_backward<T: Float>(
    (gradient, input): (&Tensor, &Tensor),
    layer: usize,
    Prepared { weights, products }: &Prepared,
    to_parameters: &mut Tensor,
    means: &mut Means<'_>,
) -> Result<Option<Tensor>, ComputeError> {
    let need = if layer == 0 { InputGradient::Skipped } else { InputGradient::Needed };
    let entry = weights.layout.convolutions[layer];
    let Some(product) = products.convolutions.get(layer) else {
        let kernel = &weights.convolutions[layer];
        let (to_input, to_kernel) = rounded::backward::<T>(gradient, input, kernel, need)?;
        weights.layout.view(to_parameters, entry).f_copy_(&to_kernel)?;
        return Ok(to_input);
    };
    let mut to_input = match need {
        InputGradient::Needed => Some(input.f_permute([0, 2, 3, 1])?.f_empty_like()?),
        InputGradient::Skipped => None,
    };
    with_slice(gradient, |gradient: &[T]| {
        with_slice(input, |input: &[T]| {
            with_slice_mut(to_parameters, |to_parameters: &mut [T]| {
                let to_kernel = &mut to_parameters[weights.layout.range(entry)];
                let mut back = |to_input: Option<&mut [T]>| {
                    product.backward((gradient, input), to_kernel, to_input, means);
                };
                match &mut to_input {
                    Some(to_input) => with_slice_mut(to_input, |it: &mut [T]| back(Some(it))),
                    None => {
                        back(None);
                        Ok(())
                    }
                }
            })
        })
    })????;
    Ok(to_input.map(|to_input| channels_first_view(&to_input)))
}

/// A layer's BatchNorm, PReLU and pool of a convolution's output.
pub fn activated<T: Float>(
    layer: ConvolutionLayer,
    z: &Tensor,
    activation: &Activation<T>,
) -> Result<Tensor, ComputeError> {
    let images = z.size()[0];
    let extent = Extent { images: images as usize, side: layer.side, channels: layer.outputs };
    let side = if layer.pooled { extent.pooled_side() } else { layer.side } as i64;
    let mut y =
        Tensor::f_empty([images, side, side, layer.outputs as i64], (T::KIND, Device::Cpu))?;
    with_slice(z, |z: &[T]| {
        with_slice_mut(&mut y, |y: &mut [T]| {
            if layer.pooled {
                normalise_activate_and_pool(z, extent, activation, y);
            } else {
                normalise_and_activate(z, activation, y);
            }
        })
    })??;
    Ok(channels_first_view(&y))
}

/// `[images, channels, height, width]` as `[images, channels·height·width]`, the order the linear layer was given.
pub fn flatten<T: Float>(pooled: &Tensor) -> Result<Vec<T>, ComputeError> {
    Ok(with_slice(&pooled.f_contiguous()?, |numbers: &[T]| numbers.to_vec())?)
}

/// The gradient of what [`flatten`] made, in the shape and memory order of what it was made of.
pub fn unflatten<T: Float>(gradient: &[T], like: &Tensor) -> Result<Tensor, ComputeError> {
    let mut unflattened = Tensor::f_empty(&like.size()[..], (T::KIND, Device::Cpu))?;
    with_slice_mut(&mut unflattened, |numbers: &mut [T]| numbers.copy_from_slice(gradient))?;
    channels_last(unflattened)
}

/// `[images, height, width, channels]` seen as `[images, channels, height, width]`, memory unchanged.
pub fn channels_first_view(tensor: &Tensor) -> Tensor {
    tensor.permute([0, 3, 1, 2])
}

/// The same numbers with channels as the fastest dimension in memory; copies only if they are not already.
pub fn channels_last(tensor: Tensor) -> Result<Tensor, ComputeError> {
    let last = tensor.f_permute([0, 2, 3, 1])?;
    Ok(last.f_contiguous()?.f_permute([0, 3, 1, 2])?)
}
