//! All owned shards through the network and back, meeting at every reduction.
//!
//! Every rank gets the same sums at the same places and so makes the same statistics and the same gradients. Between
//! two reductions everything a shard can do runs in one parallel region.

use std::sync::Arc;

use common::architecture::ConvolutionLayer;
use tch::Tensor;

use super::error::ComputeError;
use super::layout::Layout;
use super::prepared::Prepared;
use super::shard::{BatchContext, HeadPart, Normalised, Place, Shard, TermPart};
use super::trace::Trace;
use crate::bridge::shared::Shared;
use crate::bridge::{with_slice, with_slice_mut};
use crate::fault::{Faults, Part, Phase};
use crate::machine::shard_pool::ShardPool;
use crate::mathematics::batch_norm::{BatchStatistics, NormParameters};
use crate::mathematics::batch_terms::{BatchTerms, Terms, rows};
use crate::mathematics::kernels::Activation;
use crate::mathematics::kernels::{Float, in_64_bits};
use crate::reduction::Reduction;
use crate::reduction::bucket::PendingBucket;
use crate::reduction::small::{Contribution, Rows, Summed};

/// What the passes of one step run on.
pub struct Pass<'a, T> {
    /// The rank's threads.
    pub pool: &'a ShardPool,
    /// The rank's logical shards, loaded with the step's samples, then those of others that it computes to compare.
    pub shards: &'a mut [Shard<T>],
    /// How many are the rank's own.
    pub owned: usize,
    /// What each of them adds to the sums, where that is compared.
    pub trace: Option<&'a mut Trace>,
    /// The parameters.
    pub parameters: &'a Shared<Prepared>,
    /// What follows each convolution.
    pub norms: &'a [NormParameters],
    /// The generation's sums.
    pub reduction: &'a mut Reduction,
    /// Samples of the global batch.
    pub batch: usize,
    /// What of the loss looks at every sample of the batch, possibly nothing.
    pub terms: &'a Terms,
    /// Where a test ends this worker.
    pub faults: &'a Faults,
}

/// What the forward pass leaves for the backward pass.
pub struct Forward<T> {
    /// Samples of each class in the global batch.
    pub counts: Vec<u64>,
    /// Each layer's statistics over the global batch.
    pub statistics: Vec<BatchStatistics>,
    /// Every rank's rows, in rank order.
    pub rows: Vec<f64>,
    activations: Vec<Activation<T>>,
}

/// What the head of the network leaves.
pub struct Head {
    /// Each owned shard's part.
    pub parts: Vec<HeadPart>,
    /// Each owned shard's backward sums of the last layer.
    pub gradient_sums: Vec<Vec<f64>>,
    /// What looks at every sample of the batch.
    pub terms: BatchTerms,
}

/// What the terms say of a shard's samples. The first logical shard adds what they say of `output.weight`.
fn part_of<'a, T: Float>(terms: &'a BatchTerms, shard: &Shard<T>, dim: usize) -> TermPart<'a> {
    if terms.values.is_empty() {
        return TermPart::default();
    }
    let Place { shard: number, first } = shard.place();
    let samples = first..first + shard.samples();
    TermPart {
        to_features: &terms.to_features[samples.start * dim..samples.end * dim],
        to_output: if number == 0 { &terms.to_output } else { &[] },
        predictions: terms.predictions.as_ref().map(|all| &all[samples]),
    }
}

impl<T: Float> Pass<'_, T> {
    fn layers(&self) -> Arc<[ConvolutionLayer]> {
        Arc::clone(&self.parameters.get().weights.layout.architecture.convolutions)
    }

    /// Runs every convolutional layer forward. The class counts of the global batch ride along with the first one's
    /// sums, and are the first sum where there is none. `rows` ride along with the first sum.
    ///
    /// # Errors
    /// A kernel failed or a peer is lost.
    pub fn forward(&mut self, rows: Rows) -> Result<Forward<T>, ComputeError> {
        let mut forward = Forward {
            counts: Vec::new(),
            statistics: Vec::new(),
            rows: Vec::new(),
            activations: Vec::new(),
        };
        let mut rows = Some(rows);
        let classes = self.parameters.get().weights.layout.architecture.data.classes;
        if self.layers().is_empty() {
            let counts = self.shards.iter().map(|shard| class_counts(shard.labels(), classes));
            let counts = self.sum(&counts.collect::<Vec<_>>(), classes, rows.take())?;
            (forward.counts, forward.rows) = (integers(&counts.sum), counts.rows);
        }
        let share = self.pool.share(self.shards.len());
        for (layer, shape) in self.layers().iter().enumerate() {
            let before = &forward.activations;
            let mut partials = self.pool.map(self.shards, |shard| {
                let mut sums = shard.convolve(layer, before, self.parameters.get(), &share)?;
                if layer == 0 {
                    sums.extend(class_counts(shard.labels(), classes));
                }
                Ok::<_, ComputeError>(sums)
            })?;
            self.strike(layer, &mut partials);
            let counted = if layer == 0 { classes } else { 0 };
            let summed = self.sum(&partials, 2 * shape.outputs + counted, rows.take())?;
            let (sums, counts) = summed.sum.split_at(2 * shape.outputs);
            if layer == 0 {
                (forward.counts, forward.rows) = (integers(counts), summed.rows);
            }
            let positions = self.batch * shape.positions();
            let statistics = BatchStatistics::from_sums(sums, positions);
            forward.activations.push(statistics.activation(&self.norms[layer]));
            forward.statistics.push(statistics);
        }
        Ok(forward)
    }

    /// Where a test changes a bit of what a shard has computed of a layer.
    fn strike(&mut self, layer: usize, partials: &mut [Vec<f64>]) {
        self.faults.strike_sums(Phase::Sum, layer, &mut partials[..self.owned]);
        let is_it = |part| part == Part::Activation { layer };
        if let Some(flip) = self.faults.flip(Phase::Sum, is_it) {
            self.shards[flip.place % self.owned].strike(layer, flip);
        }
    }

    /// A sum of the forward pass.
    fn sum(
        &mut self,
        partials: &[Vec<f64>],
        length: usize,
        rows: Option<Rows>,
    ) -> Result<Summed, ComputeError> {
        self.faults.point(Phase::Sum);
        let partials = self.traced(partials);
        let rows = rows.unwrap_or_else(|| self.reduction.no_rows());
        Ok(self.reduction.sum_with(Contribution { partials, length, rows })?)
    }

    /// Runs the linear layers and the losses, forward and backward.
    ///
    /// # Errors
    /// A kernel failed, or, where a term looks at the whole batch, a peer is lost.
    pub fn head(
        &mut self,
        forward: &Forward<T>,
        context: BatchContext<'_>,
    ) -> Result<Head, ComputeError> {
        let is_normalised = !self.layers().is_empty();
        let share = self.pool.share(self.shards.len());
        let features = self.pool.map(self.shards, |shard| {
            shard.head_forward(&forward.activations, self.parameters.get(), &share)
        })?;
        let terms = self.whole_batch(&features, context)?;
        let mut given: Vec<_> = self.shards.iter_mut().zip(features).collect();
        let parts = self.pool.map(&mut given, |(shard, features)| {
            let losses = (context, part_of(&terms, shard, context.dim));
            let features = std::mem::take(features);
            let part = shard.head_backward(features, self.parameters.get(), losses, &share)?;
            let sums = is_normalised.then(|| shard.sum_gradients(forward.normalised()));
            Ok::<_, ComputeError>((part, sums.unwrap_or_default()))
        })?;
        let (parts, gradient_sums): (Vec<HeadPart>, _) = parts.into_iter().unzip();
        if let Some(trace) = self.trace.as_deref_mut() {
            for (shard, part) in parts.iter().enumerate() {
                trace.add(shard, &[part.negative_log_likelihood, part.center_distance]);
                trace.add(shard, &part.center_differences);
                trace.add(shard, &part.features);
                trace.add(shard, &part.predictions);
            }
        }
        Ok(Head { parts, gradient_sums, terms })
    }

    /// What looks at every sample of the batch, given the features of each shard: all ranks gather all features, and compute
    /// it alike.
    fn whole_batch(
        &mut self,
        features: &[Vec<f64>],
        context: BatchContext<'_>,
    ) -> Result<BatchTerms, ComputeError> {
        if self.terms.is_empty() {
            return Ok(BatchTerms::default());
        }
        let shards = self.shards[..self.owned].iter().zip(features);
        let own = shards.flat_map(|(shard, features)| rows(features, shard.labels(), context.dim));
        let numbers = self.reduction.samples_of_ranks(self.batch);
        let numbers = numbers.into_iter().map(|samples| samples * (context.dim + 1)).collect();
        let gathered = self.reduction.gather(Rows { own: own.collect(), numbers })?;
        let weights = &self.parameters.get().weights;
        let output = with_slice(&weights.heads[2], in_64_bits::<T>)?;
        Ok(self.terms.of_rows(&gathered, context.dim, (context.centers, &output))?)
    }

    /// The partial sums of the rank's own shards, of all those that were computed; what all add is traced.
    fn traced<'b>(&mut self, partials: &'b [Vec<f64>]) -> &'b [Vec<f64>] {
        if let Some(trace) = self.trace.as_deref_mut() {
            partials.iter().enumerate().for_each(|(shard, sums)| trace.add(shard, sums));
        }
        &partials[..self.owned]
    }

    /// Runs every convolutional layer backward; the gradient of the global batch's mean loss, flat. Buckets travel while earlier
    /// layers are computed.
    ///
    /// # Errors
    /// A kernel failed or a peer is lost.
    pub fn backward(
        &mut self,
        forward: &Forward<T>,
        gradient_sums: Vec<Vec<f64>>,
    ) -> Result<Tensor, ComputeError> {
        let layout = Arc::clone(&self.parameters.get().weights.layout);
        let mut partials = gradient_sums;
        let layers = self.layers();
        let mut norms = vec![None; layers.len()];
        let mut flat = Tensor::f_empty([layout.total as i64], (T::KIND, tch::Device::Cpu))?;
        let mut buckets = Vec::new();
        let share = self.pool.share(self.shards.len());
        self.launch_buckets(layers.len(), &flat, &mut buckets)?;
        for (layer, shape) in layers.iter().enumerate().rev() {
            let own = self.traced(&partials);
            let sums = self.reduction.sum(own, 2 * shape.outputs + 1)?;
            let (gradient, coefficients) =
                forward.statistics[layer].backward(&sums, &self.norms[layer]);
            norms[layer] = Some(gradient);
            partials = self.pool.map(self.shards, |shard| {
                let normalised = forward.normalised();
                shard.backward(layer, self.parameters.get(), normalised, &coefficients, &share)
            })?;
            self.launch_buckets(layer, &flat, &mut buckets)?;
        }
        for bucket in self.advance(buckets)? {
            self.reduction.finish_bucket(bucket)?;
        }
        with_slice_mut(&mut flat, |flat: &mut [T]| {
            put_norm_gradient(&layout, norms.into_iter().flatten(), flat);
        })?;
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
        let layout = Arc::clone(&self.parameters.get().weights.layout);
        for (_, range) in layout.buckets.iter().filter(|(end, _)| *end == left) {
            *buckets = self.advance(std::mem::take(buckets))?;
            if !buckets.is_empty() {
                self.faults.point(Phase::Bucket);
            }
            let part = |flat: &Tensor| flat.narrow(0, range.start as i64, range.len() as i64);
            let mut partials: Vec<Tensor> =
                self.shards.iter().map(|shard| part(shard.gradient())).collect();
            if let Some(flip) = self.faults.flip(Phase::Backward, |part| part == Part::Gradient) {
                flip.strike_tensor::<T>(&mut partials[flip.place % self.owned]);
            }
            if let Some(trace) = self.trace.as_deref_mut() {
                for (shard, part) in partials.iter().enumerate() {
                    with_slice(part, |part: &[T]| trace.add(shard, part))?;
                }
            }
            partials.truncate(self.owned);
            buckets.push(self.reduction.start_bucket(&partials, part(flat))?);
        }
        Ok(())
    }

    fn advance(&mut self, buckets: Vec<PendingBucket>) -> Result<Vec<PendingBucket>, ComputeError> {
        let advance = |bucket| Ok(self.reduction.advance_bucket(bucket)?);
        buckets.into_iter().map(advance).collect()
    }
}

impl<T: Float> Forward<T> {
    fn normalised(&self) -> Normalised<'_, T> {
        Normalised { activations: &self.activations, statistics: &self.statistics }
    }
}

fn integers(counts: &[f64]) -> Vec<u64> {
    counts.iter().map(|count| *count as u64).collect()
}

/// Samples of each class.
fn class_counts(labels: &[u16], classes: usize) -> Vec<f64> {
    let mut counts = vec![0.0; classes];
    labels.iter().for_each(|label| counts[usize::from(*label)] += 1.0);
    counts
}

/// Puts what is not bucketed, global sums already, into the flat gradient, and zeros into the gaps.
fn put_norm_gradient<T: Float>(
    layout: &Layout,
    gradients: impl Iterator<Item = NormParameters>,
    flat: &mut [T],
) {
    flat[layout.bucketed()..].fill(T::ZERO);
    for (norm, gradient) in layout.norms.iter().zip(gradients) {
        for (index, values) in [
            (norm.weight, &gradient.weight[..]),
            (norm.bias, &gradient.bias),
            (norm.slope, &[gradient.slope]),
        ] {
            let to = &mut flat[layout.range(index)];
            to.iter_mut().zip(values).for_each(|(to, value)| *to = T::of(*value));
        }
    }
}
