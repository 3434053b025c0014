//! One logical shard's part of one global batch: what it computes between two reductions.
//!
//! Called side by side for the shards a rank owns. Every kernel sees this shard's samples and the parameters, so what
//! it computes does not depend on who computes it. A shard without samples contributes zeros.

use common::architecture::ConvolutionLayer;
use common::config::Loss;
use engine::Workspace;
use tch::{Device, Tensor};

use super::error::ComputeError;
use super::layers::{activated, convolution, convolution_backward, flatten, images, unflatten};
use super::layout::Layout;
use super::linear;
use super::prepared::Prepared;
use crate::bridge::{self, with_slice, with_slice_mut};
use crate::machine::shard_pool::Share;
use crate::mathematics::center_loss::CenterLoss;
use crate::mathematics::kernels::gradient::{
    Backward, InputGradient, gradient_of_input, gradient_sums,
};
use crate::mathematics::kernels::statistics::channel_sums;
use crate::mathematics::kernels::{Activation, Extent, Float, in_64_bits, rounded};
use crate::mathematics::softmax_loss;

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
    layers: &'static [ConvolutionLayer],
    labels: Vec<u8>,
    /// Each layer's input, then nothing once it ran backward.
    inputs: Vec<Tensor>,
    /// Each layer's convolution's output.
    outputs: Vec<Tensor>,
    /// Activation on its way forward, or gradient on its way back.
    flowing: Tensor,
    /// The bucketed part of the flat gradient.
    gradient: Tensor,
    workspace: Workspace,
    numbers: std::marker::PhantomData<T>,
}

impl<T: Float> Shard<T> {
    /// A shard without samples, for the network of `layout`.
    pub fn new(layout: &Layout) -> Self {
        Self {
            layers: layout.architecture().convolutions,
            labels: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            flowing: Tensor::new(),
            gradient: Tensor::zeros([layout.bucketed() as i64], (T::KIND, Device::Cpu)),
            workspace: Workspace::default(),
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
    pub fn convolve(
        &mut self,
        layer: usize,
        parameters: &Prepared,
        share: &Share,
    ) -> Result<Vec<f64>, ComputeError> {
        let channels = self.layers[layer].outputs;
        if self.labels.is_empty() {
            return Ok(vec![0.0; 2 * channels]);
        }
        let input = std::mem::replace(&mut self.flowing, Tensor::new());
        // Rounded once for both directions, where products are of fewer bits.
        let input = input.f_to_kind(parameters.weights.products)?;
        let mut means = parameters.products.means(share, &mut self.workspace);
        let output = convolution::<T>(&input, layer, parameters, &mut means)?;
        let sums = with_slice(&output, |z: &[T]| channel_sums(z, channels))?;
        self.inputs.push(input);
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
            self.flowing = activated(self.layers[layer], &self.outputs[layer], activation)?;
        }
        Ok(())
    }

    /// Runs the linear layers and the losses forward and backward.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn head(
        &mut self,
        parameters: &Prepared,
        context: BatchContext<'_>,
        share: &Share,
    ) -> Result<HeadPart, ComputeError> {
        if self.labels.is_empty() {
            let differences = context.center.map_or(0, |center| center.centers.len());
            return Ok(HeadPart {
                center_differences: vec![0.0; differences],
                ..HeadPart::default()
            });
        }
        let mut means = parameters.products.means(share, &mut self.workspace);
        let forward = linear::forward(parameters, flatten::<T>(&self.flowing)?, &mut means)?;
        let feature_values = in_64_bits(&forward.features);
        let softmax = softmax_loss::shard(
            &in_64_bits(&forward.scores),
            &self.labels,
            context.loss,
            context.batch,
        );
        let center = context.center.map(|center| center.shard(&feature_values, &self.labels));
        let to_scores = rounded::<T>(&softmax.gradient);
        let to_features = center.as_ref().map(|center| rounded::<T>(&center.gradient));
        let upstream = (&to_scores[..], to_features.as_deref());
        let to_input = with_slice_mut(&mut self.gradient, |gradient: &mut [T]| {
            forward.backward(parameters, upstream, gradient, &mut means)
        })??;
        self.flowing = match to_input {
            Some(gradient) => unflatten(&gradient, &self.flowing)?,
            None => Tensor::new(),
        };
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
            return Ok(vec![0.0; 2 * self.layers[layer].outputs + 1]);
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
        parameters: &Prepared,
        (activation, coefficients): (&Activation<T>, &InputGradient<T>),
        share: &Share,
    ) -> Result<(), ComputeError> {
        if self.labels.is_empty() {
            return Ok(());
        }
        let ConvolutionLayer { side, outputs, .. } = self.layers[layer];
        let shape = [self.labels.len() as i64, side as i64, side as i64, outputs as i64];
        let mut gradient = Tensor::f_empty(shape, (T::KIND, Device::Cpu))?;
        self.with_backward(layer, activation, |backward| {
            with_slice_mut(&mut gradient, |output: &mut [T]| {
                gradient_of_input(backward, coefficients, output);
            })
        })??;
        self.outputs.truncate(layer);
        let input = self.inputs.pop().expect("every layer that ran forward kept its input");
        let mut means = parameters.products.means(share, &mut self.workspace);
        let flow = (&gradient, &input);
        let flowing =
            convolution_backward::<T>(flow, layer, parameters, &mut self.gradient, &mut means)?;
        self.flowing = flowing.unwrap_or_else(Tensor::new);
        Ok(())
    }

    fn with_backward<R>(
        &self,
        layer: usize,
        activation: &Activation<T>,
        run: impl FnOnce(Backward<'_, T>) -> R,
    ) -> Result<R, bridge::BridgeError> {
        let ConvolutionLayer { side, outputs, pooled, .. } = self.layers[layer];
        let extent = Extent { images: self.labels.len(), side, channels: outputs };
        with_slice(&self.outputs[layer], |z: &[T]| {
            with_slice(&self.flowing, |upstream: &[T]| {
                run(Backward { z, upstream, extent, pooled, activation })
            })
        })?
    }
}
