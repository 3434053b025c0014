//! What a step computes with: the rank's threads, its logical shards, the parameters and the generation's sums.

use crate::batch_norm::NormParameters;
use crate::bridge::shared::Shared;
use crate::fault::Faults;
use crate::network::Weights;
use crate::network::kernels::Float;
use crate::network::pass::Pass;
use crate::network::shard::Shard;
use crate::reduction::Reduction;
use crate::shard_pool::ShardPool;

/// One rank's means of computing.
pub struct Engine<T> {
    /// The rank's threads.
    pub pool: ShardPool,
    /// Its logical shards, in order.
    pub shards: Vec<Shard<T>>,
    /// The parameters, which follow the state's changes.
    pub weights: Shared<Weights>,
    /// Every pixel value as the network takes it.
    pub table: Box<[T; 256]>,
    /// The generation's sums.
    pub reduction: Reduction,
}

impl<T: Float> Engine<T> {
    /// The passes of one step, whose shards are loaded with samples of a global batch of `batch`.
    pub fn pass<'a>(
        &'a mut self,
        norms: &'a [NormParameters],
        batch: usize,
        faults: &'a Faults,
    ) -> Pass<'a, T> {
        Pass {
            pool: &self.pool,
            shards: &mut self.shards,
            weights: &self.weights,
            norms,
            reduction: &mut self.reduction,
            batch,
            faults,
        }
    }
}
