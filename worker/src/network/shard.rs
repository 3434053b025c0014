//! One logical shard's part of one global batch: what it computes between two reductions.
//!
//! Called side by side for the shards a rank owns. Every kernel sees this shard's samples and the parameters, so what
//! it computes does not depend on who computes it. A shard without samples contributes zeros.

use std::sync::Arc;

use common::architecture::ConvolutionLayer;
use common::config::ScoreLoss;
use common::data_shape::DataShape;
use tch::{Device, Tensor};

use super::error::ComputeError;
use super::flow::OutputGradient;
use super::layers::{
    Outputs, convolution, convolution_backward, flatten, flatten_data, sized, unflatten,
};
use super::layout::Layout;
use super::linear;
use super::per_image::PerImage;
use super::pixels::PixelTable;
use super::prepared::Prepared;
use super::products::{Flow, ToInput};
use crate::bridge::with_slice_mut;
use crate::fault::Flip;
use crate::machine::shard_pool::Share;
use crate::mathematics::batch_norm::BatchStatistics;
use crate::mathematics::center_loss::CenterLoss;
use crate::mathematics::kernels::gradient::InputGradient;
use crate::mathematics::kernels::statistics::channel_sums;
use crate::mathematics::kernels::{Activation, Float, in_64_bits, rounded};
use crate::mathematics::softmax_loss;

/// What the loss needs to know about the global batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchContext<'a> {
    /// What is made of the scores; nothing where a term over the whole batch classifies.
    pub scores: Option<ScoreLoss>,
    /// The center loss, where there is one.
    pub center: Option<CenterLoss<'a>>,
    /// The class centers, `[classes, dim]`.
    pub centers: &'a [f64],
    /// Numbers of a feature vector.
    pub dim: usize,
    /// Samples of the global batch.
    pub batch: usize,
}

/// Where a shard's samples lie in the global batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Which logical shard it is.
    pub shard: usize,
    /// The first of its samples.
    pub first: usize,
}

/// What the terms of the loss over the whole batch say of a shard's samples.
#[derive(Clone, Copy, Debug, Default)]
pub struct TermPart<'a> {
    /// What they add to ∂L/∂f, `[samples, dim]`; empty where there are none.
    pub to_features: &'a [f64],
    /// What they add to ∂L/∂`output.weight`, `[classes, dim]`, of the whole batch; empty but for the one shard that adds it.
    pub to_output: &'a [f64],
    /// Each sample's class, where a term classifies.
    pub predictions: Option<&'a [u16]>,
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
    pub predictions: Vec<u16>,
}

/// What the sums over the global batch say of the layers that have run forward.
#[derive(Clone, Copy, Debug)]
pub struct Normalised<'a, T> {
    /// BatchNorm and PReLU of each layer.
    pub activations: &'a [Activation<T>],
    /// What its BatchNorm is made of.
    pub statistics: &'a [BatchStatistics],
}

/// One logical shard.
pub struct Shard<T> {
    layers: Arc<[ConvolutionLayer]>,
    /// Of the data.
    shape: DataShape,
    place: Place,
    labels: Vec<u16>,
    /// The network's input, `[samples, height, width, channels]`.
    data: Vec<T>,
    outputs: Outputs<T>,
    /// What the linear layers have left of their way forward.
    head: Option<linear::Forward<T>>,
    /// The gradient of the result of the layer that runs backward next.
    upstream: Vec<T>,
    /// Memory for that of the one before.
    spare: Vec<T>,
    /// The bucketed part of the flat gradient.
    gradient: Tensor,
}

impl<T: Float> Shard<T> {
    /// A shard without samples, for the network of `layout`.
    pub fn new(layout: &Layout) -> Self {
        Self {
            layers: Arc::clone(&layout.architecture.convolutions),
            shape: layout.architecture.data,
            place: Place::default(),
            labels: Vec::new(),
            data: Vec::new(),
            outputs: Outputs::new(&layout.architecture),
            head: None,
            upstream: Vec::new(),
            spare: Vec::new(),
            gradient: Tensor::zeros([layout.bucketed() as i64], (T::KIND, Device::Cpu)),
        }
    }

    /// Takes this step's samples: pixels `[samples, height, width, channels]`, translated by `table`, and labels; they lie at
    /// `place` in the global batch.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn load(
        &mut self,
        pixels: &[u8],
        labels: &[u16],
        table: &PixelTable<T>,
        place: Place,
    ) -> Result<(), ComputeError> {
        self.place = place;
        self.labels.clear();
        self.labels.extend_from_slice(labels);
        table.translate(pixels, &mut self.data);
        self.outputs.begin(labels.len());
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
    pub fn labels(&self) -> &[u16] {
        &self.labels
    }

    /// Where they lie in the global batch.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The bucketed part of the flat gradient, complete once every layer ran backward.
    pub fn gradient(&self) -> &Tensor {
        &self.gradient
    }

    /// Changes a bit of the output of a layer's convolution.
    pub fn strike(&mut self, layer: usize, flip: Flip) {
        flip.strike(self.outputs.of(layer));
    }

    /// Runs a layer's convolution, given what follows each of those before; `[Σz…, Σz²…]` of its output.
    ///
    /// # Errors
    /// What libtorch says, where it convolves.
    pub fn convolve(
        &mut self,
        layer: usize,
        before: &[Activation<T>],
        parameters: &Prepared,
        share: &Share,
    ) -> Result<Vec<f64>, ComputeError> {
        let channels = self.layers[layer].outputs;
        let sums = PerImage::new(self.labels.len(), 2 * channels);
        if !self.labels.is_empty() {
            let mut means = parameters.products.means(share);
            let (input, output) = self.outputs.around(layer, &self.data, before);
            let observer = &|image, z: &[T]| sums.keep(image, &channel_sums(z, channels));
            let flow = Flow { input: &input, output, observer };
            convolution(flow, layer, parameters, &mut means)?;
        }
        Ok(sums.total())
    }

    /// Runs the linear layers forward, given what follows each convolution; features `[samples, feature_dim]`.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn head_forward(
        &mut self,
        activations: &[Activation<T>],
        parameters: &Prepared,
        share: &Share,
    ) -> Result<Vec<f64>, ComputeError> {
        if self.labels.is_empty() {
            return Ok(Vec::new());
        }
        let mut means = parameters.products.means(share);
        let input = match self.layers.len().checked_sub(1) {
            Some(last) => flatten(&self.outputs.result(last, &activations[last])),
            None => flatten_data(&self.data, self.shape),
        };
        let forward = linear::forward(parameters, input, &mut means)?;
        let features = in_64_bits(&forward.features);
        self.head = Some(forward);
        Ok(features)
    }

    /// Runs the losses, and the linear layers backward, after [`Shard::head_forward`], which made these features.
    ///
    /// # Errors
    /// What libtorch says.
    ///
    /// # Panics
    /// The linear layers have not run forward.
    pub fn head_backward(
        &mut self,
        features: Vec<f64>,
        parameters: &Prepared,
        (context, terms): (BatchContext<'_>, TermPart<'_>),
        share: &Share,
    ) -> Result<HeadPart, ComputeError> {
        let output_weight = parameters.weights.layout.range(parameters.weights.layout.heads[2]);
        if self.labels.is_empty() {
            with_slice_mut(&mut self.gradient, |gradient: &mut [T]| {
                add_rounded(terms.to_output, &mut gradient[output_weight]);
            })?;
            let differences = context.center.map_or(0, |center| center.centers.len());
            return Ok(HeadPart {
                center_differences: vec![0.0; differences],
                ..HeadPart::default()
            });
        }
        let mut means = parameters.products.means(share);
        let forward = self.head.take().expect("the linear layers have run forward");
        let softmax = match context.scores {
            Some(loss) => {
                softmax_loss::shard(&in_64_bits(&forward.scores), &self.labels, loss, context.batch)
            }
            None => softmax_loss::ShardPart::of_no_loss(forward.scores.len()),
        };
        let center = context.center.map(|center| center.shard(&features, &self.labels));
        let to_scores = rounded::<T>(&softmax.gradient);
        let of_center = center.as_ref().map_or(&[][..], |center| &center.gradient);
        let to_features = rounded::<T>(&sum(of_center, terms.to_features));
        let to_features = (!to_features.is_empty()).then_some(&to_features[..]);
        let to_input = with_slice_mut(&mut self.gradient, |gradient: &mut [T]| {
            let upstream = (&to_scores[..], to_features);
            let to_input = forward.backward(parameters, upstream, gradient, &mut means)?;
            add_rounded(terms.to_output, &mut gradient[output_weight]);
            Ok::<_, ComputeError>(to_input)
        })??;
        if let (Some(gradient), Some(last)) = (to_input, self.layers.last()) {
            unflatten(&gradient, *last, sized(&mut self.upstream, gradient.len()));
        }
        let (distance, differences) =
            center.map_or((0.0, Vec::new()), |center| (center.distance, center.differences));
        Ok(HeadPart {
            negative_log_likelihood: softmax.negative_log_likelihood,
            center_distance: distance,
            center_differences: differences,
            features,
            predictions: terms.predictions.map_or(softmax.predictions, <[u16]>::to_vec),
        })
    }

    /// The last layer's backward sums, `[Σh…, Σh·(z − mean)…, slope]`, of the gradient that has reached its result.
    ///
    /// # Panics
    /// There is no such layer.
    pub fn sum_gradients(&self, normalised: Normalised<'_, T>) -> Vec<f64> {
        let last = self.layers.len() - 1;
        let sums = PerImage::new(self.labels.len(), 2 * self.layers[last].outputs + 1);
        let result = self.outputs.result(last, &normalised.activations[last]);
        let upstream = self.upstream.chunks_exact(result.numbers());
        for (image, upstream) in upstream.take(self.labels.len()).enumerate() {
            let mean = &normalised.statistics[last].mean;
            sums.keep(image, &result.gradient_sums(image, upstream, mean));
        }
        sums.total()
    }

    /// Runs a layer backward, given the coefficients made of the reduced sums: its kernel's gradient is complete, the
    /// gradient that flows on is that of the layer's input. Returns the backward sums of the layer before, if there is one.
    ///
    /// # Errors
    /// What libtorch says, where it convolves.
    pub fn backward(
        &mut self,
        layer: usize,
        parameters: &Prepared,
        normalised: Normalised<'_, T>,
        coefficients: &InputGradient<T>,
        share: &Share,
    ) -> Result<Vec<f64>, ComputeError> {
        let images = self.labels.len();
        let before = layer.checked_sub(1);
        let sums =
            PerImage::new(images, before.map_or(0, |before| 2 * self.layers[before].outputs + 1));
        if images == 0 {
            return Ok(sums.total());
        }
        let Normalised { activations, statistics } = normalised;
        let of = self.outputs.result(layer, &activations[layer]);
        let upstream = &self.upstream[..images * of.numbers()];
        let gradient = OutputGradient { of, upstream, coefficients };
        let input = self.outputs.input(layer, &self.data, activations);
        let mut means = parameters.products.means(share);
        let outputs = &self.outputs;
        let below = before
            .map(|before| (outputs.result(before, &activations[before]), &statistics[before].mean));
        let observer = |image: usize, upstream: &[T]| {
            if let Some((result, mean)) = &below {
                sums.keep(image, &result.gradient_sums(image, upstream, mean));
            }
        };
        let to_input = below.as_ref().map(|(result, _)| ToInput {
            gradient: sized(&mut self.spare, images * result.numbers()),
            observer: &observer,
        });
        let flow = (&gradient as _, &input as _);
        let to_parameters = &self.gradient;
        convolution_backward(flow, layer, parameters, to_parameters, to_input, &mut means)?;
        std::mem::swap(&mut self.upstream, &mut self.spare);
        Ok(sums.total())
    }
}

/// The sum of two vectors of which either may be empty, which is one of zeros.
fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
    match (a, b) {
        ([], only) | (only, []) => only.to_vec(),
        _ => a.iter().zip(b).map(|(a, b)| a + b).collect(),
    }
}

/// Adds numbers, each rounded, unless there are none.
fn add_rounded<T: Float>(numbers: &[f64], to: &mut [T]) {
    to.iter_mut().zip(numbers).for_each(|(to, number)| *to = *to + T::of(*number));
}
