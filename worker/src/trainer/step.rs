//! One step: receive, forward, loss, backward, commit.

use std::time::Instant;

use common::ids::{LogicalShard, Step};
use common::plan;
use tch::Tensor;

use super::agreement::OldVectors;
use super::change::{Change, SUMS, batch_context, center_loss, center_numbers, sums_of};
use super::error::TrainerError;
use super::feed::Taken;
use super::report::Losses;
use super::request::Request;
use super::training::Trainer;
use crate::fault::{Part, Phase};
use crate::mathematics::batch_norm::NormParameters;
use crate::mathematics::batch_terms::BatchTerms;
use crate::mathematics::kernels::Float;
use crate::network::norm_parameters;
use crate::network::pass::{Forward, Head, Pass};
use crate::network::shard::Place;
use crate::reduction::small::{Contribution, PendingSum, Rows, Summed};
use crate::state::Position;

/// Numbers of a rank's rows before its samples: what it was asked for, and how many uploads it knows to be stored.
const WISHES: usize = 2;

impl<T: Float> Trainer<T> {
    /// Runs the next step and commits it. What the ranks agreed to do after it is kept in `agreed`.
    ///
    /// # Errors
    /// Why it could not be committed; nothing of the step is kept then.
    pub(super) fn step(&mut self) -> Result<(), TrainerError> {
        let started = Instant::now();
        self.faults.enter(self.state.position.step.0);
        let batch = self.receive()?;
        self.progress.enter("training");
        self.reach(Phase::Forward);
        self.engine.renew_parameters(&self.state)?;
        let norms = norm_parameters::<T>(&self.state.layout, &self.state.flat)?;
        let claim = self.claim();
        let forward = self.pass(&norms, batch).forward(claim)?;
        // Every rank has sent its part of this step's first sum, and so has finished the exchanges of the step before.
        self.settle_claims(&forward.rows)?;
        let head = self.lose(&norms, batch, &forward)?;
        let results = self.start_results(&head, batch)?;
        self.reach(Phase::Backward);
        let Head { gradient_sums, terms, .. } = head;
        let gradient = self.pass(&norms, batch).backward(&forward, gradient_sums)?;
        let results = self.engine.reduction.finish_sum(results)?;
        self.reach(Phase::Optimizer);
        self.commit(batch, (&forward, terms), &gradient, results)?;
        self.reach(Phase::Commit);
        self.measure(batch, started.elapsed());
        Ok(())
    }

    /// A place where a test ends this worker, or changes a bit of its state.
    pub(super) fn reach(&mut self, phase: Phase) {
        self.faults.point(phase);
        if let Some(flip) = self.faults.flip(phase, Part::is_of_state) {
            self.state.strike::<T>(flip);
        }
    }

    pub(super) fn pass<'a>(&'a mut self, norms: &'a [NormParameters], batch: usize) -> Pass<'a, T> {
        self.engine.pass(norms, batch, &self.faults)
    }

    /// Loads every shard with its samples of the step; the size of the global batch.
    fn receive(&mut self) -> Result<usize, TrainerError> {
        self.progress.enter("waiting for data");
        self.reach(Phase::Data);
        let batch = self.batch_size(self.state.position.step_in_epoch);
        let owned = self.engine.reduction.owned();
        let shards = self.config.shard_count();
        let together = plan::slices(batch, shards, &owned);
        let taken = self.feed.take(together.len())?;
        self.load(batch, &taken)?;
        self.receive_checked(batch)?;
        Ok(batch)
    }

    /// Loads the rank's own shards with their samples of a global batch of `batch`.
    pub(super) fn load(
        &mut self,
        batch: usize,
        (pixels, labels): &Taken,
    ) -> Result<(), TrainerError> {
        let (mut pixels, mut labels) = (pixels.as_slice(), labels.as_slice());
        let shards = self.config.shard_count();
        let pixels_each = self.state.layout.architecture.data.numbers();
        for (index, shard) in self.engine.reduction.owned().zip(&mut self.engine.shards) {
            let slice = plan::slice(batch, shards, LogicalShard(index as u32));
            let (own_pixels, other_pixels) = pixels.split_at(slice.len() * pixels_each);
            let (own_labels, other_labels) = labels.split_at(slice.len());
            let place = Place { shard: index, first: slice.start };
            shard.load(own_pixels, own_labels, &self.engine.table, place)?;
            (pixels, labels) = (other_pixels, other_labels);
        }
        Ok(())
    }

    pub(super) fn batch_size(&self, step_in_epoch: Step) -> usize {
        let size = self.config.batch_size as usize;
        plan::batch(self.facts.train_samples, size, step_in_epoch).len()
    }

    /// Sends losses, class sums and what the epoch's record needs on their way while the backward pass runs.
    fn start_results(&mut self, head: &Head, batch: usize) -> Result<PendingSum, TrainerError> {
        let dim = self.config.feature_dim as usize;
        let parts = self.engine.own_shards().iter().zip(&head.parts);
        let partials: Vec<Vec<f64>> =
            parts.clone().map(|(shard, part)| sums_of(shard, part)).collect();
        let mut rows =
            vec![Request::to_number(self.requests.pending()), self.reporter.stored() as f64];
        for (shard, part) in parts {
            let samples = part.features.chunks_exact(dim).zip(shard.labels());
            for ((features, label), prediction) in samples.zip(&part.predictions) {
                rows.extend_from_slice(features);
                rows.extend([f64::from(*label), f64::from(*prediction)]);
            }
        }
        let samples = self.engine.reduction.samples_of_ranks(batch).into_iter();
        let numbers = samples.map(|samples| WISHES + samples * (dim + 2)).collect();
        let length = SUMS + center_numbers(&self.config, &self.state);
        let rows = Rows { own: rows, numbers };
        let contribution = Contribution { partials: &partials, length, rows };
        Ok(self.engine.reduction.start_sum(contribution)?)
    }

    /// Runs the head of the network and the losses.
    pub(super) fn lose(
        &mut self,
        norms: &[NormParameters],
        batch: usize,
        forward: &Forward<T>,
    ) -> Result<Head, TrainerError> {
        let context = batch_context(&self.config, &self.state.centers, forward, batch);
        Ok(self.engine.pass(norms, batch, &self.faults).head(forward, context)?)
    }

    /// Changes parameters, momenta, centers, statistics, record and position together, once every rank's part is there. What
    /// has diverged is found out together with the others, too.
    fn commit(
        &mut self,
        batch: usize,
        (forward, terms): (&Forward<T>, BatchTerms),
        gradient: &Tensor,
        results: Summed,
    ) -> Result<(), TrainerError> {
        let (sums, differences) = results.sum.split_at(SUMS);
        let center = center_loss(&self.config, &self.state.centers, forward, batch);
        let losses = Losses {
            softmax: sums[0] / batch as f64,
            center: center.map_or(0.0, |center| center.value(sums[1])),
            terms: terms.values,
        };
        let Position { epoch, step_in_epoch, step } = self.state.position;
        let back = self.way_back(OldVectors::Spare);
        let learning_rate = self.learning_rate_at(self.state.position);
        let to_centers = &terms.to_centers[..];
        let change = Change { forward, gradient, differences, to_centers, batch, learning_rate };
        let written = change.apply(&mut self.state, &mut self.agreement.spare, &self.config)?;
        self.set_out(back);
        self.record(batch, &losses, sums[2] as u64, &results.rows);
        self.state.position =
            Position { epoch, step_in_epoch: Step(step_in_epoch.0 + 1), step: Step(step.0 + 1) };
        let kept = match written.finite {
            _ if !losses.total().is_finite() => {
                Err(TrainerError::NonFinite { epoch, step, loss: losses.total() })
            }
            false => Err(TrainerError::NonFiniteState { epoch, step }),
            true => {
                let stops = self.agreed == Some(Request::Stop);
                self.keep_step((epoch, step), (&losses, learning_rate), self.is_stored(stops))
            }
        };
        self.claim_step(&written.digests, kept.err())
    }

    /// Adds the step to the epoch's record, and takes note of what the ranks were asked for.
    fn record(&mut self, batch: usize, losses: &Losses, correct: u64, rows: &[f64]) {
        let width = self.config.feature_dim as usize + 2;
        let counts = self.engine.reduction.samples_of_ranks(batch);
        let record = &mut self.state.record;
        losses.add_to(record, batch);
        record.correct += correct;
        // The first rank is the one that stores.
        self.reporter.acknowledge(rows[1] as u64);
        let mut asked = 0.0f64;
        let mut rest = rows;
        for count in counts {
            let (wishes, samples) = rest.split_at(WISHES);
            let (samples, others) = samples.split_at(count * width);
            asked = asked.max(wishes[0]);
            for sample in samples.chunks_exact(width) {
                let (features, labels) = sample.split_at(width - 2);
                record.features.extend_from_slice(features);
                record.labels.push(labels[0] as u16);
                record.predictions.push(labels[1] as u16);
            }
            rest = others;
        }
        self.agreed = Request::from_number(asked);
    }
}
