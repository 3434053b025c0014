//! What a step changes of the state's numbers, once every sum is there. `step` makes it in a run, `proof` in a small
//! computation of its own.

use common::config::Config;
use tch::Tensor;

use crate::mathematics::center_loss::CenterLoss;
use crate::mathematics::kernels::Float;
use crate::mathematics::kernels::update::Written;
use crate::mathematics::optimizer::Vectors;
use crate::network::ComputeError;
use crate::network::pass::Forward;
use crate::network::shard::{BatchContext, HeadPart, Shard};
use crate::state::{State, round};

/// Sums of one step over the logical shards: the losses' two, the right predictions, then Σ(c − f) per class.
pub(super) const SUMS: usize = 3;

/// What a step has found out.
pub(super) struct Change<'a, T> {
    /// What the forward pass left.
    pub forward: &'a Forward<T>,
    /// Of the global batch's mean loss, flat.
    pub gradient: &'a Tensor,
    /// Σ(c − f) per class over the global batch, where there is a center loss.
    pub differences: &'a [f64],
    /// ∂L/∂center of the terms over the whole batch, `[classes, dim]`; empty where none has centers.
    pub to_centers: &'a [f64],
    /// Samples of the global batch.
    pub batch: usize,
    /// The step's.
    pub learning_rate: f64,
}

impl<T: Float> Change<'_, T> {
    /// Changes parameters, momenta, centers and statistics; what `spare` holds afterwards are the parameters and momenta
    /// before.
    ///
    /// # Errors
    /// A tensor is not one of the run's precision.
    pub(super) fn apply(
        &self,
        state: &mut State,
        spare: &mut Vectors,
        config: &Config,
    ) -> Result<Written, ComputeError> {
        let centers = self.centers(&state.centers, config);
        let State { optimizer, flat, .. } = &mut *state;
        let rate = (config, self.learning_rate);
        let written = optimizer.step::<T>(flat, self.gradient, rate, spare)?;
        state.centers = centers;
        for (running, statistics) in state.running.iter_mut().zip(&self.forward.statistics) {
            *running = statistics.update::<T>(running);
        }
        state.batches_tracked += 1;
        Ok(Written { finite: written.finite && state.is_finite(), ..written })
    }

    /// The centers after the step: as the center loss moves them, and down the gradient of what else has centers.
    fn centers(&self, centers: &[f64], config: &Config) -> Vec<f64> {
        let mut moved = centers.to_vec();
        if let Some(center) = center_loss(config, centers, self.forward, self.batch) {
            moved = center.moved(self.differences, config.center_rule, config.center_lr);
        }
        for (center, gradient) in moved.iter_mut().zip(self.to_centers) {
            *center -= config.center_lr * gradient;
        }
        moved.into_iter().map(|value| round(value, T::KIND)).collect()
    }
}

/// A shard's part of the step's sums.
pub(super) fn sums_of<T: Float>(shard: &Shard<T>, part: &HeadPart) -> Vec<f64> {
    let pairs = part.predictions.iter().zip(shard.labels());
    let correct = pairs.filter(|(prediction, label)| prediction == label).count();
    let mut sums = vec![part.negative_log_likelihood, part.center_distance, correct as f64];
    sums.extend_from_slice(&part.center_differences);
    sums
}

/// Numbers of Σ(c − f) per class.
pub(super) fn center_numbers(config: &Config, state: &State) -> usize {
    if config.loss.center { state.centers.len() } else { 0 }
}

/// What the losses of a batch need.
pub(super) fn batch_context<'a, T>(
    config: &Config,
    centers: &'a [f64],
    forward: &'a Forward<T>,
    batch: usize,
) -> BatchContext<'a> {
    let center = center_loss(config, centers, forward, batch);
    let dim = config.feature_dim as usize;
    BatchContext { scores: config.loss.scores, center, centers, dim, batch }
}

/// The center loss of a batch, where the run has one.
pub(super) fn center_loss<'a, T>(
    config: &Config,
    centers: &'a [f64],
    forward: &'a Forward<T>,
    batch: usize,
) -> Option<CenterLoss<'a>> {
    config.loss.center.then_some(CenterLoss {
        centers,
        dim: config.feature_dim as usize,
        counts: &forward.counts,
        weight: config.center_weight,
        batch,
    })
}
