//! What a step computes with: the rank's threads, its logical shards, the parameters and the generation's sums.

use crate::bridge::shared::Shared;
use crate::fault::Faults;
use crate::machine::shard_pool::ShardPool;
use crate::mathematics::batch_norm::NormParameters;
use crate::mathematics::batch_terms::Terms;
use crate::mathematics::kernels::Float;
use crate::network::pass::Pass;
use crate::network::pixels::PixelTable;
use crate::network::shard::Shard;
use crate::network::trace::Trace;
use crate::network::{ComputeError, Prepared};
use crate::reduction::Reduction;
use crate::state::State;

/// One rank's means of computing.
pub struct Engine<T> {
    /// The rank's threads.
    pub pool: ShardPool,
    /// Its logical shards, in order, then one of another rank that it may check.
    pub shards: Vec<Shard<T>>,
    /// What they add to the sums, in a step that is cross-checked.
    pub trace: Option<Trace>,
    /// The parameters, which follow the state's changes once they are renewed.
    pub parameters: Shared<Prepared>,
    /// Every pixel value as the network takes it.
    pub table: PixelTable<T>,
    /// The generation's sums.
    pub reduction: Reduction,
    /// What of the loss looks at every sample of a batch.
    pub terms: Terms,
}

impl<T: Float> Engine<T> {
    /// The rank's own shards.
    pub fn own_shards(&self) -> &[Shard<T>] {
        &self.shards[..self.reduction.owned().len()]
    }

    /// Makes the parameters those of `state`.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn renew_parameters(&mut self, state: &State) -> Result<(), ComputeError> {
        self.parameters.get_mut().renew::<T>(&state.flat, &self.pool)
    }

    /// The passes of one step, whose shards are loaded with samples of a global batch of `batch`.
    pub fn pass<'a>(
        &'a mut self,
        norms: &'a [NormParameters],
        batch: usize,
        faults: &'a Faults,
    ) -> Pass<'a, T> {
        let owned = self.reduction.owned().len();
        // Of another rank's only where that is compared.
        let computed = if self.trace.is_some() { self.shards.len() } else { owned };
        Pass {
            pool: &self.pool,
            shards: &mut self.shards[..computed],
            owned,
            trace: self.trace.as_mut(),
            parameters: &self.parameters,
            norms,
            reduction: &mut self.reduction,
            batch,
            terms: &self.terms,
            faults,
        }
    }
}
