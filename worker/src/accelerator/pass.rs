//! All owned shards through the network and back on a device, meeting at every reduction: `crate::network::pass` without
//! waiting for a number.

use std::sync::Arc;
use std::time::Duration;

use common::architecture::ConvolutionLayer;
use tch::{Device, Kind, Tensor};

use super::losses::{HeadPart, LossContext};
use super::norm::{Activation, NormParameters, Statistics};
use super::shard::Shard;
use super::whole_batch::{Given, WholeBatch, rows};
use crate::fault::{Faults, Phase};
use crate::mathematics::batch_terms::Terms;
use crate::network::layout::Layout;
use crate::network::{ComputeError, Weights};
use crate::reduction::Reduction;
use crate::reduction::bucket::PendingBucket;

/// What the passes of one step run on.
pub struct Pass<'a> {
    /// The rank's logical shards, loaded with the step's samples.
    pub shards: &'a mut [Shard],
    /// The parameters.
    pub weights: &'a Weights,
    /// What follows each convolution.
    pub norms: &'a [NormParameters],
    /// The generation's sums.
    pub reduction: &'a mut Reduction,
    /// Samples of the global batch.
    pub batch: usize,
    /// Where everything lies.
    pub device: Device,
    /// The numbers between convolutions, and of the parameters.
    pub kind: Kind,
    /// What of the loss looks at every sample of the batch, possibly nothing.
    pub terms: &'a Terms,
    /// How long the device, and then a peer, may take for what these need.
    pub patience: Duration,
    /// Where a test ends this worker.
    pub faults: &'a Faults,
}

/// What the forward pass leaves for the backward pass.
pub struct Forward {
    /// Samples of each class in the global batch, `[classes]`.
    pub counts: Tensor,
    /// Each layer's statistics over the global batch.
    pub statistics: Vec<Statistics>,
    activations: Vec<Activation>,
}

/// What the head of the network leaves.
pub struct Head {
    /// Each owned shard's part.
    pub parts: Vec<HeadPart>,
    /// What looks at every sample of the batch.
    pub whole_batch: WholeBatch,
    gradient_sums: Vec<Tensor>,
}

impl Pass<'_> {
    fn layers(&self) -> Arc<[ConvolutionLayer]> {
        Arc::clone(&self.weights.layout.architecture.convolutions)
    }

    /// Runs every convolutional layer forward; `classes` are the classes' numbers, `[1, classes]`. The class counts of
    /// the global batch ride along with the first layer's sums, and travel alone where there is none.
    ///
    /// # Errors
    /// A kernel failed or a peer is lost.
    pub fn forward(&mut self, classes: &Tensor) -> Result<Forward, ComputeError> {
        let mut counts = match self.layers().is_empty() {
            true => self.count_classes(classes)?,
            false => Tensor::new(),
        };
        let mut statistics = Vec::new();
        let mut activations: Vec<Activation> = Vec::new();
        for (layer, shape) in self.layers().iter().enumerate() {
            let mut partials = Vec::with_capacity(self.shards.len());
            for shard in self.shards.iter_mut() {
                if let Some(activation) = activations.last() {
                    shard.activate(layer - 1, activation)?;
                }
                let mut sums = shard.convolve(layer, self.weights)?;
                if layer == 0 {
                    sums = Tensor::f_cat(&[sums, class_counts(shard, classes)?], 0)?;
                }
                partials.push(sums);
            }
            let counted = if layer == 0 { classes.numel() } else { 0 };
            self.faults.point(Phase::Sum);
            let length = 2 * shape.outputs + counted;
            let sums = self.reduction.sum_on_device(&partials, length, self.device)?;
            if layer == 0 {
                counts = sums.f_narrow(0, 2 * shape.outputs as i64, counted as i64)?;
            }
            let sums = sums.f_narrow(0, 0, 2 * shape.outputs as i64)?;
            let positions = self.batch * shape.positions();
            let batch = Statistics::from_sums(&sums, positions)?;
            activations.push(batch.activation(&self.norms[layer], self.kind)?);
            statistics.push(batch);
        }
        Ok(Forward { counts, statistics, activations })
    }

    fn count_classes(&mut self, classes: &Tensor) -> Result<Tensor, ComputeError> {
        let counts = self.shards.iter().map(|shard| class_counts(shard, classes));
        let partials: Vec<Tensor> = counts.collect::<Result<_, _>>()?;
        self.faults.point(Phase::Sum);
        Ok(self.reduction.sum_on_device(&partials, classes.numel(), self.device)?)
    }

    /// Runs the linear layers and the losses, forward and backward.
    ///
    /// # Errors
    /// A kernel failed, or, where a term looks at the whole batch, a peer is lost.
    pub fn head(&mut self, forward: &Forward, context: &LossContext) -> Result<Head, ComputeError> {
        let last = self.layers().len().checked_sub(1);
        let mut features = Vec::with_capacity(self.shards.len());
        for shard in self.shards.iter_mut() {
            if let Some(last) = last {
                shard.activate(last, &forward.activations[last])?;
            }
            features.push(shard.head_forward(self.weights, context.dim)?);
        }
        let whole_batch = self.whole_batch(&features, context)?;
        let mut head = Head { parts: Vec::new(), whole_batch, gradient_sums: Vec::new() };
        let mut first = 0;
        for (shard, features) in self.shards.iter_mut().zip(&features) {
            let samples = shard.samples() as i64;
            let losses = (context, head.whole_batch.part(first, samples)?);
            head.parts.push(shard.head_backward(features, self.weights, losses)?);
            if let Some(last) = last {
                head.gradient_sums.push(forward.sum_gradients(shard, last)?);
            }
            first += samples;
        }
        // The owner of the first shard adds what concerns the whole batch.
        if let (Some(gradient), 0) = (&head.whole_batch.to_output, self.reduction.owned().start) {
            self.shards[0].add_to_output(self.weights, gradient)?;
        }
        Ok(head)
    }

    fn whole_batch(
        &mut self,
        features: &[Tensor],
        context: &LossContext,
    ) -> Result<WholeBatch, ComputeError> {
        if self.terms.is_empty() {
            return Ok(WholeBatch::default());
        }
        let shards = self.shards.iter().zip(features).filter(|(shard, _)| shard.samples() > 0);
        let mut parts: Vec<Tensor> = (shards)
            .map(|(shard, features)| rows(features, shard.labels()))
            .collect::<Result<_, _>>()?;
        parts.push(Tensor::f_zeros([0, context.dim + 1], (Kind::Double, self.device))?);
        let given = Given {
            rows: &Tensor::f_cat(&parts, 0)?,
            centers: &context.centers,
            output: &self.weights.heads[2],
            batch: self.batch,
            patience: self.patience,
        };
        WholeBatch::of(self.terms, given, self.reduction)
    }

    /// Runs every convolutional layer backward; the gradient of the global batch's mean loss, flat. Through Gloo buckets
    /// travel while earlier layers are computed; NCCL's are in the same stream as the layers, one after the other.
    ///
    /// # Errors
    /// A kernel failed or a peer is lost.
    pub fn backward(&mut self, forward: &Forward, head: Head) -> Result<Tensor, ComputeError> {
        let layout = &self.weights.layout;
        let mut partials = head.gradient_sums;
        let layers = self.layers();
        let mut norms: Vec<Option<[Tensor; 3]>> = layers.iter().map(|_| None).collect();
        let flat = Tensor::f_empty([layout.total as i64], (self.kind, self.device))?;
        let mut buckets = Vec::new();
        self.launch_buckets(layers.len(), &flat, &mut buckets)?;
        for (layer, shape) in layers.iter().enumerate().rev() {
            let length = 2 * shape.outputs + 1;
            let sums = self.reduction.sum_on_device(&partials, length, self.device)?;
            let (gradient, coefficients) =
                forward.statistics[layer].backward(&sums, &self.norms[layer], self.kind)?;
            norms[layer] = Some(gradient);
            partials.clear();
            for shard in self.shards.iter_mut() {
                shard.backward(layer, self.weights, &coefficients)?;
                if let Some(below) = layer.checked_sub(1) {
                    partials.push(forward.sum_gradients(shard, below)?);
                }
            }
            self.launch_buckets(layer, &flat, &mut buckets)?;
        }
        for bucket in self.advance(buckets)? {
            self.reduction.finish_bucket(bucket)?;
        }
        let (start, end) = (layout.bucketed() as i64, layout.total as i64);
        let norms = norm_gradient(layout, norms.into_iter().flatten(), (self.kind, self.device))?;
        flat.f_narrow(0, start, end - start)?.f_copy_(&norms)?;
        Ok(flat)
    }

    /// Starts the bucket that is complete when `left` layers are left to run backward, after moving the earlier ones on. Its
    /// sum goes to its place in the `flat` gradient.
    fn launch_buckets(
        &mut self,
        left: usize,
        flat: &Tensor,
        buckets: &mut Vec<PendingBucket>,
    ) -> Result<(), ComputeError> {
        let layout = &self.weights.layout;
        for (_, range) in layout.buckets.iter().filter(|(end, _)| *end == left) {
            *buckets = self.advance(std::mem::take(buckets))?;
            if !buckets.is_empty() {
                self.faults.point(Phase::Bucket);
            }
            let part = |flat: &Tensor| flat.f_narrow(0, range.start as i64, range.len() as i64);
            let partials: Vec<Tensor> =
                self.shards.iter().map(|shard| part(shard.gradient())).collect::<Result<_, _>>()?;
            buckets.push(self.reduction.start_bucket(&partials, part(flat)?)?);
        }
        Ok(())
    }

    fn advance(&mut self, buckets: Vec<PendingBucket>) -> Result<Vec<PendingBucket>, ComputeError> {
        let advance = |bucket| Ok(self.reduction.advance_bucket(bucket)?);
        buckets.into_iter().map(advance).collect()
    }
}

impl Forward {
    /// A shard's backward sums of `layer`.
    fn sum_gradients(&self, shard: &mut Shard, layer: usize) -> Result<Tensor, ComputeError> {
        shard.sum_gradients(layer, &self.activations[layer], &self.statistics[layer].mean)
    }
}

fn class_counts(shard: &Shard, classes: &Tensor) -> Result<Tensor, ComputeError> {
    if shard.samples() == 0 {
        return Ok(Tensor::f_zeros([classes.numel() as i64], (Kind::Double, classes.device()))?);
    }
    let one_hot = shard.labels().f_unsqueeze(1)?.f_eq_tensor(classes)?;
    Ok(one_hot.f_sum_dim_intlist(0i64, false, Kind::Double)?)
}

/// The part of the flat gradient that is not bucketed: global sums already, in the layout's order, gaps filled.
fn norm_gradient(
    layout: &Layout,
    gradients: impl Iterator<Item = [Tensor; 3]>,
    options: (Kind, Device),
) -> Result<Tensor, ComputeError> {
    let mut parts = Vec::new();
    let mut end = layout.bucketed();
    for (norm, gradients) in layout.norms.iter().zip(gradients) {
        for (index, gradient) in [norm.weight, norm.bias, norm.slope].into_iter().zip(gradients) {
            let entry = &layout.entries[index];
            parts.push(Tensor::f_zeros([(entry.offset - end) as i64], options)?);
            parts.push(gradient.f_to_kind(options.0)?);
            end = entry.offset + entry.length;
        }
    }
    parts.push(Tensor::f_zeros([(layout.total - end) as i64], options)?);
    Ok(Tensor::f_cat(&parts, 0)?)
}
