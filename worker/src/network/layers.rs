//! The convolutional layers as training and evaluation compute them alike, on the samples of one logical shard.
//!
//! Tensors are `[images, channels, height, width]` with channels as the fastest dimension in memory, the order that the
//! fused passes take and the convolutions are fastest with.

use common::architecture::{ConvolutionLayer, IMAGE_PIXELS, IMAGE_SIDE, KERNEL_SIDE};
use tch::{Device, Kind, Tensor};

use super::alone_at_first::alone_at_first;
use super::error::ComputeError;
use crate::bridge::{self, InputGradient, with_slice, with_slice_mut};
use crate::mathematics::kernels::activation::{
    normalise_activate_and_pool, normalise_and_activate,
};
use crate::mathematics::kernels::{Activation, Convolution, Extent, Float};

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
///
/// # Errors
/// What libtorch says; memory ran out.
pub fn convolution<T: Float>(input: &Tensor, kernel: &Tensor) -> Result<Tensor, ComputeError> {
    if kernel.kind() == Kind::Double {
        return own_convolution(input, kernel);
    }
    let padding = [PADDING, PADDING];
    let output = alone_at_first("forward", [input, kernel], || {
        input.f_conv2d(kernel, None::<Tensor>, [1, 1], padding, [1, 1], 1)
    })?;
    channels_last(output.f_to_kind(T::KIND)?)
}

/// libtorch's own in 64 bits unfolds the whole batch into memory, and takes three to five times as long.
fn own_convolution(input: &Tensor, kernel: &Tensor) -> Result<Tensor, ComputeError> {
    let shape = shape_of(input, kernel);
    let side = shape.input.side as i64;
    let size = [input.size()[0], side, side, shape.outputs as i64];
    let mut output = Tensor::f_empty(size, (Kind::Double, Device::Cpu))?;
    with_slice(input, |input: &[f64]| {
        with_slice(kernel, |kernel: &[f64]| {
            with_slice_mut(&mut output, |output: &mut [f64]| shape.forward(input, kernel, output))
        })
    })???;
    Ok(channels_first_view(&output))
}

/// The gradients of [`convolution`], given that of its output in the kernel's numbers and memory order: (of the input if
/// needed, of the kernel).
///
/// # Errors
/// What libtorch says; memory ran out.
pub fn convolution_backward(
    gradient: &Tensor,
    input: &Tensor,
    kernel: &Tensor,
    need: InputGradient,
) -> Result<(Option<Tensor>, Tensor), ComputeError> {
    if kernel.kind() != Kind::Double {
        return Ok(alone_at_first("backward", [input, kernel], || {
            bridge::convolution_backward(gradient, input, kernel, PADDING, need)
        })?);
    }
    let shape = shape_of(input, kernel);
    let mut to_kernel = kernel.f_permute([0, 2, 3, 1])?.f_empty_like()?;
    let mut to_input = match need {
        InputGradient::Needed => Some(input.f_permute([0, 2, 3, 1])?.f_empty_like()?),
        InputGradient::Skipped => None,
    };
    with_slice(gradient, |gradient: &[f64]| {
        with_slice(input, |input: &[f64]| {
            with_slice_mut(&mut to_kernel, |to_kernel: &mut [f64]| {
                shape.kernel_gradient(input, gradient, to_kernel);
            })
        })??;
        let Some(to_input) = &mut to_input else { return Ok(()) };
        with_slice(kernel, |kernel: &[f64]| {
            with_slice_mut(to_input, |to_input: &mut [f64]| {
                shape.backward(gradient, kernel, to_input);
            })
        })?
    })??;
    let to_input = to_input.map(|to_input| channels_first_view(&to_input));
    Ok((to_input, channels_first_view(&to_kernel)))
}

/// Of an input `[images, inputs, side, side]` and a kernel `[outputs, inputs, 5, 5]`, both with channels as the fastest
/// dimension in memory, as [`Layout::view`](super::layout::Layout::view) has them.
fn shape_of(input: &Tensor, kernel: &Tensor) -> Convolution {
    let [images, channels, side] = [0, 1, 2].map(|axis| input.size()[axis] as usize);
    let outputs = kernel.size()[0] as usize;
    Convolution { input: Extent { images, side, channels }, outputs, kernel: KERNEL_SIDE }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn random(size: [i64; 4]) -> Tensor {
        channels_last(Tensor::randn(size, (Kind::Double, Device::Cpu))).unwrap()
    }

    #[test]
    fn float64_is_convolved_as_libtorch_does_it() {
        for (images, inputs, outputs, side) in [(3, 1, 32, 28), (1, 32, 64, 14), (2, 64, 32, 7)] {
            let input = random([images, inputs, side, side]);
            let kernel = random([outputs, inputs, KERNEL_SIDE as i64, KERNEL_SIDE as i64]);
            let upstream = random([images, outputs, side, side]);
            let close =
                |found: &Tensor, expected: &Tensor| found.allclose(expected, 1e-11, 1e-11, false);
            let padding = [PADDING, PADDING];
            let expected = input.conv2d(&kernel, None::<Tensor>, [1, 1], padding, [1, 1], 1);
            assert!(close(&convolution::<f64>(&input, &kernel).unwrap(), &expected));
            // The first layer's input is the data itself.
            let need = if inputs == 1 { InputGradient::Skipped } else { InputGradient::Needed };
            let (to_input, to_kernel) =
                convolution_backward(&upstream, &input, &kernel, need).unwrap();
            let expected =
                bridge::convolution_backward(&upstream, &input, &kernel, PADDING, need).unwrap();
            assert!(close(&to_kernel, &expected.1), "{inputs} to {outputs}");
            assert_eq!(to_input.is_some(), expected.0.is_some());
            if let (Some(found), Some(expected)) = (to_input, expected.0) {
                assert!(close(&found, &expected), "{inputs} to {outputs}");
            }
        }
    }
}
