//! Training where a device computes: steps are asked for ahead of time and committed here, one after the other, when the
//! device has told of them.
//!
//! A wish that the ranks agree on in a step is seen when that step is committed, on every rank after the same number of
//! steps was asked for, so all follow it after the same step. The state here is that of the newest committed step
//! whenever something is to be made of it, and the position always is.

use std::time::{Duration, Instant};

use common::ids::{Epoch, Step};
use common::plan;

use super::agreement::OldVectors;
use super::device_run::{DeviceRun, own_samples};
use super::ending::Outcome;
use super::error::{TrainerError, Verdict};
use super::report::Losses;
use super::request::Request;
use super::training::Trainer;
use crate::accelerator::numbers::{Orders, Report, Verdict as StepVerdict, adam_corrections};
use crate::accelerator::ring::IN_FLIGHT;
use crate::accelerator::wait::look_until;
use crate::accelerator::{Accelerator, Marker, StepRequest};
use crate::collective::CollectiveError;
use crate::fault::{Part, Phase};
use crate::mathematics::kernels::Float;
use crate::network::ComputeError;
use crate::state::{Identity, Position};

/// How long a device may take to end what is under way when a generation is broken: the session waits for a trainer a
/// little longer (`session::generation::TRAINER_END`).
const LEAVING: Duration = Duration::from_secs(4);

impl<T: Float> Trainer<T> {
    pub(super) fn run(&mut self) -> &mut DeviceRun {
        self.on_device.as_mut().expect("a device computes")
    }

    pub(super) fn accelerator(&mut self) -> &mut Accelerator {
        &mut self.run().accelerator
    }

    /// Trains to the end of the run or of the generation.
    pub(super) fn train_on_device(&mut self) -> Result<Outcome, TrainerError> {
        self.agree_now()?;
        loop {
            let position = self.upcoming();
            if self.agreed == Some(Request::Pause) {
                self.settle()?;
                return Ok(Outcome::Paused);
            }
            if position.step_in_epoch.0 >= self.steps_per_epoch() {
                self.settle()?;
                self.run().accelerator.drop_samples();
                self.end_epoch()?;
                self.agree_now()?;
                // The pace is that of training.
                self.run().last_commit = Instant::now();
                continue;
            }
            if position.step.0 >= self.total_steps {
                self.settle()?;
                if position.step_in_epoch.0 > 0 && !self.state.ended {
                    self.end_within_epoch()?;
                    self.agree_now()?;
                }
                return Ok(Outcome::Complete);
            }
            if self.agreed == Some(Request::Stop) {
                self.settle()?;
                if !self.is_at_end() {
                    self.set_out(self.way_back(OldVectors::Current));
                    let kept = self.keep_checkpoint();
                    self.agree_on_memory(kept.err())?;
                }
                return Ok(Outcome::Stopped);
            }
            if self.run().accelerator.ring.is_full() {
                self.commit_oldest()?;
                continue;
            }
            self.feed.open(position, self.is_reached(Epoch(position.epoch.0 + 1)));
            self.ask(position)?;
        }
    }

    /// The step that is asked for next.
    fn upcoming(&mut self) -> Position {
        let ahead = self.run().accelerator.ring.len() as u64;
        let Position { epoch, step_in_epoch, step } = self.state.position;
        Position { epoch, step_in_epoch: Step(step_in_epoch.0 + ahead), step: Step(step.0 + ahead) }
    }

    /// Asks the device for a step.
    fn ask(&mut self, position: Position) -> Result<(), TrainerError> {
        self.faults.enter(position.step.0);
        self.fetch_samples(position)?;
        self.progress.enter("training");
        let batch = self.batch_size(position.step_in_epoch);
        let orders = self.orders(position);
        let Self { config, state, engine, faults, on_device, .. } = self;
        let run = on_device.as_mut().expect("a device computes");
        let reduction = &mut engine.reduction;
        let own = plan::slices(batch, config.shard_count(), &reduction.owned()).len();
        let terms = &engine.terms;
        let request = StepRequest { config, reduction, faults, batch, orders, terms };
        run.accelerator.ask(state, request)?;
        run.consumed += own;
        Ok(())
    }

    fn orders(&mut self, position: Position) -> Orders {
        let ahead = self.run().accelerator.ring.len() as u64;
        let wish = Request::to_number(self.requests.pending());
        Orders {
            learning_rate: self.learning_rate_at(position),
            adam_corrections: adam_corrections(Step(self.state.optimizer.steps + ahead)),
            wishes: [wish, self.reporter.stored() as f64],
            first_sample: self.run().consumed,
            first_row: position.step_in_epoch.0 as usize * self.config.batch_size as usize,
            claim: Identity::of_counts(&self.state),
        }
    }

    /// Brings this rank's samples of the rest of the epoch to the device, unless they are there.
    fn fetch_samples(&mut self, position: Position) -> Result<(), TrainerError> {
        if self.run().accelerator.has_samples() {
            return Ok(());
        }
        self.progress.enter("waiting for data");
        self.faults.point(Phase::Data);
        let left = self.total_steps - position.step.0;
        let first = position.step_in_epoch.0;
        let end = self.steps_per_epoch().min(first.saturating_add(left));
        let owned = self.engine.reduction.owned();
        let count = own_samples(&self.config, self.facts.train_samples, first..end, &owned);
        let (pixels, labels) = self.feed.take(count)?;
        let run = self.run();
        run.consumed = 0;
        Ok(run.accelerator.take_samples(&pixels, &labels)?)
    }

    /// Commits every step that was asked for, and brings the state here.
    fn settle(&mut self) -> Result<(), TrainerError> {
        while !self.run().accelerator.ring.is_empty() {
            self.commit_oldest()?;
        }
        self.bring_back()?;
        if self.agreement.is_settled() {
            // It is here anew, and nobody has compared that.
            self.set_out(self.way_back(OldVectors::Current));
        }
        let failure = self.agreement.take_failure();
        self.agree_on_memory(failure)
    }

    fn bring_back(&mut self) -> Result<(), TrainerError> {
        self.bring_back_within(self.longest_wait())
    }

    fn bring_back_within(&mut self, limit: Duration) -> Result<(), TrainerError> {
        self.wait_for_device(limit)?;
        let samples = self.samples_before(self.state.position.step_in_epoch);
        let Self { state, on_device, .. } = self;
        let run = on_device.as_ref().expect("a device computes");
        Ok(run.accelerator.bring_back(state, samples)?)
    }

    /// Waits until the device has done everything that it was asked for: a copy would wait without an end.
    fn wait_for_device(&self, limit: Duration) -> Result<(), TrainerError> {
        let run = self.on_device.as_ref().expect("a device computes");
        let event = run.accelerator.mark()?;
        if !look_until(limit, || event.is_reached()).map_err(ComputeError::from)? {
            // A step under way may wait for a peer.
            return Err(match run.accelerator.ring.is_empty() {
                true => ComputeError::DeviceHangs { after: limit }.into(),
                false => CollectiveError::Stalled { after: limit }.into(),
            });
        }
        Ok(())
    }

    /// What this rank claims of the copy of the newest committed state, where that is compared.
    pub(super) fn identity_of_copy(&self) -> Result<Option<u64>, TrainerError> {
        let Some(run) = &self.on_device else { return Ok(None) };
        self.wait_for_device(self.longest_wait())?;
        Ok(run.accelerator.identity()?)
    }

    fn longest_wait(&self) -> Duration {
        Duration::from_secs_f64(self.config.collective_timeout)
    }

    /// At a generation's end: brings the newest state here that all have agreed on. Steps under way do not count, whatever
    /// becomes of them; after a failure they may wait for a peer on the device, which only the end of the exchanges ends.
    /// Whether it still is what they have agreed on, as far as that is known.
    ///
    /// # Errors
    /// The device is lost, and the state with it.
    pub(super) fn recover(
        &mut self,
        result: &Result<Outcome, TrainerError>,
    ) -> Result<bool, TrainerError> {
        let Some(run) = &mut self.on_device else { return Ok(true) };
        if let Err(error) = result {
            self.engine.reduction.abandon(&error.to_string());
        }
        run.accelerator.ring.give_up();
        let is_broken =
            matches!(result, Err(error) if error.verdict() == Verdict::GenerationBroken);
        let limit = if is_broken { LEAVING } else { Duration::MAX };
        self.bring_back_within(self.longest_wait().min(limit))?;
        self.accelerator().forget_recordings();
        self.keep_what_is_agreed()
    }

    /// Samples of the epoch before one of its steps.
    fn samples_before(&self, step_in_epoch: Step) -> usize {
        let samples = step_in_epoch.0 * self.config.batch_size;
        self.facts.train_samples.min(usize::try_from(samples).unwrap_or(usize::MAX))
    }

    /// Waits for the oldest step under way and commits it. What has diverged is found out together with the others: from
    /// there on the device leaves the state as it is.
    fn commit_oldest(&mut self) -> Result<(), TrainerError> {
        let report = self.wait_for_oldest()?;
        self.settle_told_claims(&report)?;
        let Position { epoch, step_in_epoch, step } = self.state.position;
        let terms = self.oldest().terms.clone();
        let losses = Losses { softmax: report.softmax_loss, center: report.center_loss, terms };
        let failure = match report.verdict() {
            StepVerdict::Committed => None,
            StepVerdict::InfiniteLoss => {
                let loss = losses.total();
                Some(TrainerError::NonFinite { epoch, step, loss })
            }
            StepVerdict::InfiniteState | StepVerdict::Frozen => {
                Some(TrainerError::NonFiniteState { epoch, step })
            }
        };
        if self.config.allow_mixed_hardware
            && let Some(failure) = failure
        {
            return Err(failure);
        }
        self.set_out(self.way_back(OldVectors::OnDevice));
        let marker = self.accelerator().ring.commit().expect("a step was waited for");
        let state = &mut self.state;
        losses.add_to(&mut state.record, marker.batch);
        state.record.correct += report.right as u64;
        state.batches_tracked += 1;
        state.optimizer.steps += 1;
        state.position =
            Position { epoch, step_in_epoch: Step(step_in_epoch.0 + 1), step: Step(step.0 + 1) };
        // The first rank is the one that stores.
        self.reporter.acknowledge(report.stored as u64);
        self.agreed = self.agreed.max(Request::from_number(report.asked));
        if let Some(flip) = self.faults.flip(Phase::Commit, Part::is_of_state) {
            self.accelerator().strike(flip);
        }
        self.tell((epoch, step), (&losses, marker.learning_rate), failure)?;
        self.confirm_earlier()?;
        let now = Instant::now();
        let elapsed = now - std::mem::replace(&mut self.run().last_commit, now);
        self.measure(marker.batch, elapsed);
        Ok(())
    }

    /// A line of metrics and a checkpoint, where they are due, of a state that nothing follows but the next step. They are
    /// proved at once; a failure shows with the next step's claims otherwise.
    fn tell(
        &mut self,
        (epoch, step): (Epoch, Step),
        numbers: (&Losses, f64),
        failure: Option<TrainerError>,
    ) -> Result<(), TrainerError> {
        // Where the run stops that follows once everything is committed.
        let is_stored = self.is_stored(false);
        let is_read = self.is_told(step) || is_stored;
        if is_read {
            self.bring_back()?;
        }
        let kept = match failure {
            Some(failure) => Err(failure),
            None => self.keep_step((epoch, step), numbers, is_stored),
        };
        self.faults.point(Phase::Commit);
        match kept {
            kept if is_read => self.agree_on_memory(kept.err())?,
            Err(failure) => self.agreement.fail(failure),
            Ok(()) => {}
        }
        Ok(())
    }

    /// Lets go out what is to be told of a step once so many later ones are committed here that every rank is known to
    /// have agreed on it: no rank asks for a step before it has committed the one [`IN_FLIGHT`] steps back, and so agreed on
    /// the one before that.
    fn confirm_earlier(&mut self) -> Result<(), TrainerError> {
        let (end, position) = (self.reporter.end(), self.state.position);
        let unconfirmed = &mut self.run().unconfirmed;
        unconfirmed.push_back((end, position));
        if unconfirmed.len() > IN_FLIGHT + 1
            && let Some((end, position)) = unconfirmed.pop_front()
        {
            self.reporter.release_before(end)?;
            self.progress.committed(position);
        }
        Ok(())
    }

    /// The oldest step under way.
    fn oldest(&self) -> &Marker {
        let run = self.on_device.as_ref().expect("a device computes");
        run.accelerator.ring.oldest().expect("a step is under way")
    }

    /// The report of the oldest step under way.
    fn wait_for_oldest(&mut self) -> Result<Report, TrainerError> {
        let limit = self.longest_wait();
        let marker = self.oldest();
        let slot = marker.slot;
        let is_reached = look_until(limit, || {
            let is_reached = marker.event.is_reached().map_err(ComputeError::from)?;
            // In this order: an abort lets a step run to its end on whatever has arrived, and the abort is known before
            // that end is.
            self.engine.reduction.check()?;
            Ok::<_, TrainerError>(is_reached)
        })?;
        if !is_reached {
            return Err(CollectiveError::Stalled { after: limit }.into());
        }
        Ok(self.run().accelerator.report(slot)?)
    }
}
