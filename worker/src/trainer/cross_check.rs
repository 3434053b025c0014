//! Cross-checks: a rank computes a logical shard of another, too, from the same samples and the same sums, and they
//! compare what it adds, to the bit. That finds what all ranks alike make something wrong of, as they all add the wrong part.
//!
//! They compare it part by part, in the order of the step. A wrong part is added by all, and whatever is computed of the sum is
//! wrong everywhere; but the first part that differs was computed of sums that all had made of parts alike. On a
//! difference all go back, and all compute the step and that shard again: what more than half come to in that part is right.

use std::ops::Range;

use common::ids::{LogicalShard, Step};
use common::plan;

use super::claims::Difference;
use super::disagreement::Matter;
use super::error::TrainerError;
use super::judgement::judge_shard;
use super::training::Trainer;
use crate::mathematics::kernels::Float;
use crate::network::norm_parameters;
use crate::network::shard::Place;
use crate::network::trace::Trace;
use crate::state::Position;

impl<T: Float> Trainer<T> {
    /// Of every rank: the logical shards that it owns, and the one that it checks in a step of the run.
    pub(super) fn checkers(&self, step: Step) -> Vec<(Range<usize>, Option<usize>)> {
        let (shards, world_size) = (self.config.shard_count(), self.engine.reduction.world_size());
        let is_checked = plan::is_cross_checked(self.config.cross_check, step);
        let of = (self.config.seed, step);
        let checker = |rank| {
            let checked =
                is_checked.then(|| plan::cross_checked_shard(of, shards, (world_size, rank)));
            (plan::shards_of(shards, world_size, rank), checked.flatten())
        };
        world_size.ranks().map(checker).collect()
    }

    /// Takes the samples of the logical shard of another rank that this one checks in the next step, if it does, and has
    /// what every shard adds noted.
    pub(super) fn receive_checked(&mut self, batch: usize) -> Result<(), TrainerError> {
        self.engine.trace = None;
        let rank = self.engine.reduction.rank();
        if !plan::is_cross_checked(self.config.cross_check, self.state.position.step) {
            return Ok(());
        }
        let (_, checked) = self.checkers(self.state.position.step).swap_remove(rank.index());
        let Some(shard) = checked else { return Ok(()) };
        let slice = self.slice_of_shard(batch, shard);
        let taken = self.feed.take_checked(slice.len())?;
        self.load_checked(&taken, Place { shard, first: slice.start })
    }

    fn load_checked(
        &mut self,
        (pixels, labels): &super::feed::Taken,
        place: Place,
    ) -> Result<(), TrainerError> {
        let engine = &mut self.engine;
        let shard = engine.shards.last_mut().expect("there is one for another rank's");
        shard.load(pixels, labels, &engine.table, place)?;
        engine.trace = Some(Trace::default());
        Ok(())
    }

    fn slice_of_shard(&self, batch: usize, shard: usize) -> Range<usize> {
        plan::slice(batch, self.config.shard_count(), LogicalShard(shard as u32))
    }

    /// Two ranks have computed different things of a logical shard: goes back, and finds out with the others who is wrong.
    pub(super) fn settle_difference(
        &mut self,
        Difference { shard, part, owner, checker }: Difference,
    ) -> Result<TrainerError, TrainerError> {
        self.go_back();
        let Position { epoch, step, .. } = self.state.position;
        let again = self.compute_again((shard, part))?;
        let guilty = judge_shard([owner, checker], &again);
        let matter = Matter::Shard { epoch, step, shard };
        Ok(self.disagreement(matter, (vec![owner, checker], Vec::new()), (guilty, true)))
    }

    /// Runs the passes of the next step, in which every rank computes this logical shard, and changes nothing; what each has
    /// come to in this part of it.
    fn compute_again(&mut self, (shard, part): (usize, usize)) -> Result<Vec<u64>, TrainerError> {
        let position = self.state.position;
        let batch = self.batch_size(position.step_in_epoch);
        let owned = self.engine.reduction.owned();
        let count = plan::slices(batch, self.config.shard_count(), &owned).len();
        let own = self.feed.again(position, owned.clone(), count)?;
        let slice = self.slice_of_shard(batch, shard);
        let checked = self.feed.again(position, shard..shard + 1, slice.len())?;
        self.load(batch, &own)?;
        self.load_checked(&checked, Place { shard, first: slice.start })?;
        self.engine.renew_parameters(&self.state)?;
        let norms = norm_parameters::<T>(&self.state.layout, &self.state.flat)?;
        let rows = self.engine.reduction.no_rows();
        let forward = self.pass(&norms, batch).forward(rows)?;
        let head = self.lose(&norms, batch, &forward)?;
        let _gradient = self.pass(&norms, batch).backward(&forward, head.gradient_sums)?;
        let traced = self.engine.trace.take().map(Trace::into_parts).unwrap_or_default();
        // An owner is held to what it adds.
        let place = if owned.contains(&shard) { shard - owned.start } else { owned.len() };
        let claim = traced.get(place).and_then(|parts| parts.get(part));
        self.gather_claims(claim.copied().unwrap_or_default())
    }
}
