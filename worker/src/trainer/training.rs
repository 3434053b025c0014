//! One generation's training: the way from epoch to epoch, and what every part of it does alike.
//!
//! `setup` makes it and runs it. Its parts are `step`, `on_device` and `epoch_end`, each of which adds methods of its own.

use std::time::Duration;

use common::config::{Config, schedule};
use common::ids::{Epoch, Step};
use common::plan;

use super::agreement::Agreement;
use super::device_run::DeviceRun;
use super::ending::Outcome;
use super::engine::Engine;
use super::error::TrainerError;
use super::feed::Feed;
use super::progress::Progress;
use super::report::{Losses, Reporter};
use super::request::{Request, Requests};
use super::task::RunFacts;
use crate::fault::Faults;
use crate::mathematics::kernels::Float;
use crate::network::ComputeError;
use crate::state::{Checkpoint, Position, State};

/// One generation's training.
pub struct Trainer<T> {
    pub(super) config: Config,
    pub(super) facts: RunFacts,
    pub(super) total_steps: u64,
    pub(super) state: Box<State>,
    pub(super) agreement: Agreement,
    pub(super) engine: Engine<T>,
    pub(super) feed: Feed,
    pub(super) reporter: Reporter,
    pub(super) progress: Progress,
    pub(super) requests: Requests,
    /// What the ranks have agreed to do after the last step.
    pub(super) agreed: Option<Request>,
    pub(super) faults: Faults,
    /// The run ends: no step is taken.
    pub(super) only_store: bool,
    /// Where a device computes the steps.
    pub(super) on_device: Option<DeviceRun>,
}

impl<T: Float> Trainer<T> {
    /// Trains to the end of the run or of the generation.
    pub(super) fn train(&mut self) -> Result<Outcome, TrainerError> {
        if self.only_store {
            return self.store_what_is_there();
        }
        if self.on_device.is_some() {
            return self.train_on_device();
        }
        loop {
            let position = self.state.position;
            if self.agreed == Some(Request::Pause) {
                self.agree_now()?;
                return Ok(Outcome::Paused);
            }
            if position.step_in_epoch.0 >= self.steps_per_epoch() {
                self.end_epoch()?;
                continue;
            }
            if position.step.0 >= self.total_steps {
                if position.step_in_epoch.0 > 0 && !self.state.ended {
                    self.end_within_epoch()?;
                }
                self.agree_now()?;
                return Ok(Outcome::Complete);
            }
            if self.agreed == Some(Request::Stop) {
                self.agree_now()?;
                return Ok(Outcome::Stopped);
            }
            self.feed.open(position, self.is_reached(Epoch(position.epoch.0 + 1)));
            self.step()?;
        }
    }

    /// The run ends by a failure: its state is stored as it is, in the midst of an epoch or at its end.
    fn store_what_is_there(&mut self) -> Result<Outcome, TrainerError> {
        if !self.state.ended {
            self.keep_checkpoint()?;
        }
        Ok(Outcome::Stopped)
    }

    /// Whether the step before was the last of an epoch or of the run, so that more follows than the next step.
    pub(super) fn is_at_end(&self) -> bool {
        let position = self.state.position;
        position.step_in_epoch.0 >= self.steps_per_epoch() || position.step.0 >= self.total_steps
    }

    pub(super) fn steps_per_epoch(&self) -> u64 {
        plan::steps_per_epoch(self.facts.train_samples, self.config.batch_size as usize)
    }

    pub(super) fn is_reached(&self, epoch: Epoch) -> bool {
        epoch.0 * self.steps_per_epoch() < self.total_steps
    }

    pub(super) fn learning_rate_at(&self, position: Position) -> f64 {
        let position = schedule::StepPosition {
            epoch: position.epoch,
            step: position.step,
            steps_spanned: schedule::steps_spanned(&self.config, self.facts.train_samples),
        };
        schedule::learning_rate(&self.config, position)
    }

    /// All agree on the state: what is to be told of it may go out.
    pub(super) fn confirm(&mut self) -> Result<(), TrainerError> {
        self.reporter.release()?;
        self.progress.committed(self.state.position);
        Ok(())
    }

    /// Whether a line of metrics tells of a step.
    pub(super) fn is_told(&self, step: Step) -> bool {
        step.0.is_multiple_of(self.config.log_every)
    }

    /// A line of metrics about a step that the state is after, if it is time for one.
    fn report_step(
        &mut self,
        (epoch, step): (Epoch, Step),
        losses: &Losses,
        learning_rate: f64,
    ) -> Result<(), TrainerError> {
        if self.is_told(step) {
            let digests = self.state.digests::<T>().map_err(ComputeError::from)?;
            let numbers = (losses, learning_rate);
            self.reporter.step((epoch, step), numbers, &self.engine.terms, digests);
        }
        Ok(())
    }

    /// Whether a checkpoint is due, which it is where the run stops, of a state that nothing follows but the next step.
    pub(super) fn is_stored(&self, stops: bool) -> bool {
        let due = stops || self.state.position.step.0.is_multiple_of(self.config.checkpoint_every);
        due && !self.is_at_end()
    }

    /// What is to be told of a step is kept for the coordinator, with a checkpoint if one is due. It changes with the state,
    /// so that it is the same wherever that is.
    pub(super) fn keep_step(
        &mut self,
        of: (Epoch, Step),
        (losses, learning_rate): (&Losses, f64),
        is_stored: bool,
    ) -> Result<(), TrainerError> {
        self.report_step(of, losses, learning_rate)?;
        if is_stored {
            self.keep_checkpoint()?;
        }
        Ok(())
    }

    /// Keeps the state for the coordinator.
    pub(super) fn keep_checkpoint(&mut self) -> Result<(), TrainerError> {
        self.reporter.save(Checkpoint::of(&self.state)?, &["last".to_string()]);
        Ok(())
    }

    /// Takes note of a step's time.
    pub(super) fn measure(&mut self, batch: usize, time: Duration) {
        let waited = self.engine.reduction.take_waited();
        let share = waited.as_secs_f64() / time.as_secs_f64().max(f64::MIN_POSITIVE);
        self.progress.measured(batch as f64 / time.as_secs_f64(), share);
        self.reporter.measured(batch, time);
    }
}
