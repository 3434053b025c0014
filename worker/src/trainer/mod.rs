//! The trainer thread: owns the state, the step and the collectives of one generation.
//!
//! - this file: epochs, and how a run ends;
//! - [`engine`]: what a step computes with;
//! - [`step`]: one step, from samples to commit;
//! - [`epoch_end`]: evaluation, metrics, checkpoint and features of an epoch;
//! - [`report`]: what rank 0 sends to the coordinator.
//!
//! Nothing here knows of tokio; the session stops it through a flag and ends it through the collective's abort handle
//! and the link's token.

pub mod engine;
pub mod epoch_end;
mod error;
pub mod report;
mod setup;
pub mod step;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::config::{Config, schedule};
use common::ids::{Epoch, Step};
use common::plan;
use proto::Split;

use crate::link::Link;
use crate::network::kernels::Float;
use crate::progress::Progress;
use crate::sample_stream::{SampleRange, SampleStream};
use crate::state::{Position, State};
use engine::Engine;
pub use error::TrainerError;
use report::Reporter;
pub use setup::{RunFacts, Task, run};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its last step is done.
    Complete,
    /// It was asked to stop before.
    Stopped,
}

/// Why an epoch's steps ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    EpochComplete { agreed_to_stop: bool },
    LastStep,
    Stopped,
}

/// One generation's training.
pub struct Trainer<T> {
    config: Config,
    facts: RunFacts,
    total_steps: u64,
    state: State,
    engine: Engine<T>,
    link: Link,
    /// Rank 0 only.
    reporter: Option<Reporter>,
    progress: Progress,
    stop: Arc<AtomicBool>,
}

impl<T: Float> Trainer<T> {
    /// Trains to the run's end.
    fn train(&mut self) -> Result<Outcome, TrainerError> {
        let mut samples =
            self.samples_of(self.state.position.epoch, self.state.position.step_in_epoch);
        loop {
            if self.state.position.step.0 >= self.total_steps {
                return Ok(Outcome::Complete);
            }
            let next = Epoch(self.state.position.epoch.0 + 1);
            let next_samples = self.is_reached(next).then(|| self.samples_of(next, Step(0)));
            match self.train_epoch(&mut samples)? {
                Pause::EpochComplete { agreed_to_stop } => {
                    self.end_epoch()?;
                    if agreed_to_stop && next_samples.is_some() {
                        return Ok(Outcome::Stopped);
                    }
                }
                Pause::LastStep => self.end_within_epoch()?,
                Pause::Stopped => {
                    self.save_checkpoint()?;
                    return Ok(Outcome::Stopped);
                }
            }
            if let Some(next_samples) = next_samples {
                samples = next_samples;
            }
        }
    }

    fn train_epoch(&mut self, samples: &mut SampleStream) -> Result<Pause, TrainerError> {
        loop {
            let agreed_to_stop = self.step(samples)?;
            let position = self.state.position;
            if position.step_in_epoch.0 >= self.steps_per_epoch() {
                return Ok(Pause::EpochComplete { agreed_to_stop });
            }
            if position.step.0 >= self.total_steps {
                return Ok(Pause::LastStep);
            }
            if agreed_to_stop {
                return Ok(Pause::Stopped);
            }
            if position.step.0.is_multiple_of(self.config.checkpoint_every) {
                self.save_checkpoint()?;
            }
        }
    }

    fn is_asked_to_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn steps_per_epoch(&self) -> u64 {
        plan::steps_per_epoch(self.facts.train_samples, self.config.batch_size as usize)
    }

    fn is_reached(&self, epoch: Epoch) -> bool {
        epoch.0 * self.steps_per_epoch() < self.total_steps
    }

    fn samples_of(&self, epoch: Epoch, first_step: Step) -> SampleStream {
        let shards = self.engine.reduction.owned();
        let range = SampleRange { split: Split::Train, epoch, first_step, shards };
        SampleStream::open(&self.link, range)
    }

    fn learning_rate_at(&self, position: Position) -> f64 {
        let position = schedule::StepPosition {
            epoch: position.epoch,
            step: position.step,
            total_steps: self.total_steps,
        };
        schedule::learning_rate(&self.config, position)
    }
}
