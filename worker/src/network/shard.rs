//! One logical shard's part of one global batch: what it computes between two reductions.
//!
//! Called side by side for the shards a rank owns. Every kernel sees this shard's samples and the parameters, so what
//! it computes does not depend on who computes it. A shard without samples contributes zeros.

use common::architecture::{
    ConvolutionLayer, FLATTENED, IMAGE_PIXELS, IMAGE_SIDE, KERNEL_SIDE, LAYERS,
};
use common::config::Loss;
use tch::{Device, Tensor};

use super::kernels::activation::{normalise_activate_and_pool, normalise_and_activate};
use super::kernels::gradient::{Backward, InputGradient, gradient_of_input, gradient_sums};
use super::kernels::statistics::channel_sums;
use super::kernels::{Activation, Extent, Float};
use super::{ComputeError, Weights};
use crate::bridge::{self, convolution_backward, with_slice, with_slice_mut};
use crate::center_loss::{self, CenterLoss};
use crate::softmax_loss;

const PADDING: i64 = KERNEL_SIDE as i64 / 2;

/// What the loss needs to know about the global batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchContext<'a> {
    /// Which loss.
    pub loss: Loss,
    /// The center loss, where there is one.
    pub center: Option<CenterLoss<'a>>,
    /// Samples of the global batch.
    pub batch: usize,
}

/// A shard's results at the head of the network.
#[derive(Clone, Debug, Default)]
pub struct HeadPart {
    /// Σ −log p(label).
    pub negative_log_likelihood: f64,
    /// Σ‖f − c‖²/n.
    pub center_distance: f64,
    /// Σ(c − f) per class, empty without a center loss.
    pub center_differences: Vec<f64>,
    /// `[samples, feature_dim]`.
    pub features: Vec<f64>,
    /// One a sample.
    pub predictions: Vec<u8>,
}

/// One logical shard.
pub struct Shard<T> {
    labels: Vec<u8>,
    /// Each layer's input, then nothing once it ran backward.
    inputs: Vec<Tensor>,
    /// Each layer's convolution's output.
    outputs: Vec<Tensor>,
    /// Activation on its way forward, or gradient on its way back.
    flowing: Tensor,
    /// The bucketed part of the flat gradient.
    gradient: Tensor,
    numbers: std::marker::PhantomData<T>,
}

impl<T: Float> Shard<T> {
    /// A shard without samples, with room for a gradient of `bucketed` numbers.
    pub fn new(bucketed: usize) -> Self {
        Self {
            labels: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            flowing: Tensor::new(),
            gradient: Tensor::zeros([bucketed as i64], (T::KIND, Device::Cpu)),
            numbers: std::marker::PhantomData,
        }
    }

    /// Takes this step's samples: pixels of `[samples, 28, 28]`, translated by `table`, and labels.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn load(
        &mut self,
        pixels: &[u8],
        labels: &[u8],
        table: &[T; 256],
    ) -> Result<(), ComputeError> {
        self.labels.clear();
        self.labels.extend_from_slice(labels);
        self.inputs.clear();
        self.outputs.clear();
        self.flowing = images(pixels, table)?;
        if labels.is_empty() {
            let _ = self.gradient.f_zero_()?;
        }
        Ok(())
    }

    /// Samples of this shard.
    pub fn samples(&self) -> usize {
        self.labels.len()
    }

    /// Their labels.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The bucketed part of the flat gradient, complete once every layer ran backward.
    pub fn gradient(&self) -> &Tensor {
        &self.gradient
    }

    /// Runs a layer's convolution; `[Σz…, Σz²…]` of its output.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn convolve(&mut self, layer: usize, weights: &Weights) -> Result<Vec<f64>, ComputeError> {
        let channels = LAYERS[layer].outputs;
        if self.labels.is_empty() {
            return Ok(vec![0.0; 2 * channels]);
        }
        let output = convolution(&self.flowing, &weights.convolutions[layer])?;
        let sums = with_slice(&output, |z: &[T]| channel_sums(z, channels))?;
        self.inputs.push(std::mem::replace(&mut self.flowing, Tensor::new()));
        self.outputs.push(output);
        Ok(sums)
    }

    /// Runs a layer's BatchNorm, PReLU and pool.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn activate(
        &mut self,
        layer: usize,
        activation: &Activation<T>,
    ) -> Result<(), ComputeError> {
        if !self.labels.is_empty() {
            self.flowing = activated(LAYERS[layer], &self.outputs[layer], activation)?;
        }
        Ok(())
    }

    /// Runs the linear layers and the losses forward and backward.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn head(
        &mut self,
        weights: &Weights,
        context: BatchContext<'_>,
    ) -> Result<HeadPart, ComputeError> {
        if self.labels.is_empty() {
            let differences = context.center.map_or(0, |center| center.centers.len());
            return Ok(HeadPart {
                center_differences: vec![0.0; differences],
                ..HeadPart::default()
            });
        }
        let flattened = flatten(&self.flowing)?;
        let [feature_weight, feature_bias, output_weight, output_bias] = &weights.heads;
        let features = flattened.f_linear(feature_weight, Some(feature_bias))?;
        let scores = features.f_linear(output_weight, Some(output_bias))?;

        let feature_values = in_64_bits::<T>(&features)?;
        let softmax = softmax_loss::shard(
            &in_64_bits::<T>(&scores)?,
            &self.labels,
            context.loss,
            context.batch,
        );
        let center = context.center.map(|center| center.shard(&feature_values, &self.labels));
        let score_gradient = from_64_bits::<T>(&softmax.gradient, &scores)?;
        let mut feature_gradient = score_gradient.f_matmul(output_weight)?;
        if let Some(center_loss::ShardPart { gradient, .. }) = &center {
            feature_gradient = feature_gradient.f_add(&from_64_bits::<T>(gradient, &features)?)?;
        }
        weights
            .layout
            .view(&self.gradient, weights.layout.heads[3])
            .f_copy_(&score_gradient.f_sum_dim_intlist(0i64, false, T::KIND)?)?;
        weights
            .layout
            .view(&self.gradient, weights.layout.heads[2])
            .f_copy_(&score_gradient.tr().f_matmul(&features)?)?;
        weights
            .layout
            .view(&self.gradient, weights.layout.heads[1])
            .f_copy_(&feature_gradient.f_sum_dim_intlist(0i64, false, T::KIND)?)?;
        weights
            .layout
            .view(&self.gradient, weights.layout.heads[0])
            .f_copy_(&feature_gradient.tr().f_matmul(&flattened)?)?;
        self.flowing = unflatten(&feature_gradient.f_matmul(feature_weight)?, &self.flowing)?;
        let (distance, differences) =
            center.map_or((0.0, Vec::new()), |center| (center.distance, center.differences));
        Ok(HeadPart {
            negative_log_likelihood: softmax.negative_log_likelihood,
            center_distance: distance,
            center_differences: differences,
            features: feature_values,
            predictions: softmax.predictions,
        })
    }

    /// A layer's backward sums, `[Σh…, Σh·(z − mean)…, slope]`, of the gradient that has reached its output.
    ///
    /// # Errors
    /// A tensor is not what the pass takes.
    pub fn sum_gradients(
        &self,
        layer: usize,
        activation: &Activation<T>,
        mean: &[f64],
    ) -> Result<Vec<f64>, ComputeError> {
        if self.labels.is_empty() {
            return Ok(vec![0.0; 2 * LAYERS[layer].outputs + 1]);
        }
        Ok(self.with_backward(layer, activation, |backward| gradient_sums(backward, mean))?)
    }

    /// Runs a layer backward, given the coefficients made of the reduced sums: its kernel's gradient is complete, the
    /// gradient that flows on is that of the layer's input.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn backward(
        &mut self,
        layer: usize,
        weights: &Weights,
        activation: &Activation<T>,
        coefficients: &InputGradient<T>,
    ) -> Result<(), ComputeError> {
        if self.labels.is_empty() {
            return Ok(());
        }
        let ConvolutionLayer { side, outputs, .. } = LAYERS[layer];
        let shape = [self.labels.len() as i64, side as i64, side as i64, outputs as i64];
        let mut gradient = Tensor::f_empty(shape, (T::KIND, Device::Cpu))?;
        self.with_backward(layer, activation, |backward| {
            with_slice_mut(&mut gradient, |output: &mut [T]| {
                gradient_of_input(backward, coefficients, output);
            })
        })??;
        self.outputs.truncate(layer);
        let need = match layer {
            0 => bridge::InputGradient::Skipped,
            _ => bridge::InputGradient::Needed,
        };
        let input = self.inputs.pop().expect("every layer that ran forward kept its input");
        let kernel = &weights.convolutions[layer];
        let gradient = channels_first_view(&gradient);
        let (flowing, kernel_gradient) =
            convolution_backward(&gradient, &input, kernel, PADDING, need)?;
        weights
            .layout
            .view(&self.gradient, weights.layout.convolutions[layer])
            .f_copy_(&kernel_gradient)?;
        self.flowing = match flowing {
            Some(flowing) => channels_last(flowing)?,
            None => Tensor::new(),
        };
        Ok(())
    }

    fn with_backward<R>(
        &self,
        layer: usize,
        activation: &Activation<T>,
        run: impl FnOnce(Backward<'_, T>) -> R,
    ) -> Result<R, bridge::BridgeError> {
        let ConvolutionLayer { side, outputs, pooled, .. } = LAYERS[layer];
        let extent = Extent { images: self.labels.len(), side, channels: outputs };
        with_slice(&self.outputs[layer], |z: &[T]| {
            with_slice(&self.flowing, |upstream: &[T]| {
                run(Backward { z, upstream, extent, pooled, activation })
            })
        })?
    }
}

/// Pixels of whole images, `[samples, 28, 28]`, translated by `table`, as the network's input `[samples, 1, 28, 28]`.
pub(crate) fn images<T: Float>(pixels: &[u8], table: &[T; 256]) -> Result<Tensor, ComputeError> {
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

/// A layer's convolution, its output's memory in the order the passes take.
pub(crate) fn convolution(input: &Tensor, kernel: &Tensor) -> Result<Tensor, ComputeError> {
    let padding = [PADDING, PADDING];
    channels_last(input.f_conv2d(kernel, None::<Tensor>, [1, 1], padding, [1, 1], 1)?)
}

/// A layer's BatchNorm, PReLU and pool of a convolution's output.
pub(crate) fn activated<T: Float>(
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
pub(crate) fn flatten(pooled: &Tensor) -> Result<Tensor, ComputeError> {
    Ok(pooled.f_contiguous()?.f_view([-1, FLATTENED as i64])?)
}

fn unflatten(gradient: &Tensor, like: &Tensor) -> Result<Tensor, ComputeError> {
    channels_last(gradient.f_view(&like.size()[..])?)
}

/// `[images, height, width, channels]` seen as `[images, channels, height, width]`, memory unchanged.
fn channels_first_view(tensor: &Tensor) -> Tensor {
    tensor.permute([0, 3, 1, 2])
}

/// The same numbers with channels as the fastest dimension in memory; copies only if they are not already.
fn channels_last(tensor: Tensor) -> Result<Tensor, ComputeError> {
    let last = tensor.f_permute([0, 2, 3, 1])?;
    Ok(last.f_contiguous()?.f_permute([0, 3, 1, 2])?)
}

/// The numbers of a small tensor.
pub(crate) fn in_64_bits<T: Float>(tensor: &Tensor) -> Result<Vec<f64>, ComputeError> {
    let tensor = tensor.f_contiguous()?;
    Ok(with_slice(&tensor, |values: &[T]| values.iter().map(|value| value.to_f64()).collect())?)
}

fn from_64_bits<T: Float>(values: &[f64], like: &Tensor) -> Result<Tensor, ComputeError> {
    Ok(Tensor::from_slice(values).f_to_kind(T::KIND)?.f_view(&like.size()[..])?)
}
