//! The convolutional layers as training and evaluation compute them alike, on the samples of one logical shard.
//!
//! Tensors are `[images, channels, height, width]` with channels as the fastest dimension in memory, the order that the
//! fused passes take and the convolutions are fastest with.

use common::architecture::{ConvolutionLayer, IMAGE_PIXELS, IMAGE_SIDE, KERNEL_SIDE};
use tch::{Device, Tensor};

use super::error::ComputeError;
use crate::bridge::{with_slice, with_slice_mut};
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

/// A layer's convolution of an input in the kernel's numbers; its output in the passes' numbers and memory order.
pub fn convolution<T: Float>(input: &Tensor, kernel: &Tensor) -> Result<Tensor, ComputeError> {
    let padding = [PADDING, PADDING];
    let output = input.f_conv2d(kernel, None::<Tensor>, [1, 1], padding, [1, 1], 1)?;
    channels_last(output.f_to_kind(T::KIND)?)
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
pub fn flatten(pooled: &Tensor) -> Result<Tensor, ComputeError> {
    Ok(pooled.f_contiguous()?.f_flatten(1, -1)?)
}

/// The gradient of what [`flatten`] made, in the shape and memory order of what it was made of.
pub fn unflatten(gradient: &Tensor, like: &Tensor) -> Result<Tensor, ComputeError> {
    channels_last(gradient.f_view(&like.size()[..])?)
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

/// The numbers of a small tensor.
pub fn in_64_bits<T: Float>(tensor: &Tensor) -> Result<Vec<f64>, ComputeError> {
    let tensor = tensor.f_contiguous()?;
    Ok(with_slice(&tensor, |values: &[T]| values.iter().map(|value| value.to_f64()).collect())?)
}

/// A small tensor of these numbers, in the shape of `like`.
pub fn from_64_bits<T: Float>(values: &[f64], like: &Tensor) -> Result<Tensor, ComputeError> {
    Ok(Tensor::from_slice(values).f_to_kind(T::KIND)?.f_view(&like.size()[..])?)
}
