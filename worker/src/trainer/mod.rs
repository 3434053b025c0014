//! The trainer thread: owns the state, the step and the collectives of one generation.
//!
//! - this file: epochs, and how a generation or a run ends;
//! - `connecting`: how a rank comes together with the others;
//! - [`engine`]: what a step computes with;
//! - [`feed`]: the samples of this epoch and the next;
//! - [`step`]: one step, from samples to commit;
//! - `on_device`: steps that a device is asked for ahead of time;
//! - [`epoch_end`]: evaluation, metrics, checkpoint and features of an epoch;
//! - [`report`]: what the coordinator is sent.
//!
//! Nothing here knows of tokio; the session stops it through a flag and ends it through the collective's abort handle
//! and the link's token. Whatever ends a generation, the state survives it: see [`Memory`].

mod connecting;
pub mod engine;
pub mod epoch_end;
mod error;
pub mod feed;
mod on_device;
pub mod report;
mod request;
mod setup;
pub mod step;

use common::config::{Config, schedule};
use common::ids::Epoch;
use common::plan;

use crate::fault::Faults;
use crate::link::Outbox;
use crate::mathematics::kernels::Float;
use crate::progress::Progress;
use crate::state::{Position, State};
use engine::Engine;
pub use error::{TrainerError, Verdict};
use feed::Feed;
use on_device::DeviceRun;
use report::Reporter;
pub use request::{Request, Requests};
pub use setup::{Ending, Origin, RunFacts, Task, run};

/// How a generation ended for its ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The run's last step is done.
    Complete,
    /// The run was asked to stop before; its state is stored.
    Stopped,
    /// The ranks have left the generation after the same step, to form another.
    Paused,
}

/// What a worker keeps from one generation to the next.
#[derive(Debug)]
pub struct Memory {
    /// The run's state.
    pub state: Box<State>,
    /// What the coordinator may not have stored yet.
    pub outbox: Outbox,
}

/// One generation's training.
pub struct Trainer<T> {
    config: Config,
    facts: RunFacts,
    total_steps: u64,
    state: Box<State>,
    engine: Engine<T>,
    feed: Feed,
    reporter: Reporter,
    progress: Progress,
    requests: Requests,
    /// What the ranks have agreed to do after the last step.
    agreed: Option<Request>,
    faults: Faults,
    /// Where a device computes the steps.
    on_device: Option<DeviceRun>,
}

impl<T: Float> Trainer<T> {
    /// Trains to the end of the run or of the generation.
    fn train(&mut self) -> Result<Outcome, TrainerError> {
        if self.on_device.is_some() {
            return self.train_on_device();
        }
        loop {
            let position = self.state.position;
            if self.agreed == Some(Request::Pause) {
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
                return Ok(Outcome::Complete);
            }
            if self.agreed == Some(Request::Stop) {
                return Ok(Outcome::Stopped);
            }
            self.feed.open(position, self.is_reached(Epoch(position.epoch.0 + 1)));
            self.step()?;
        }
    }

    /// Whether the step before was the last of an epoch or of the run, so that more follows than the next step.
    fn is_at_end(&self) -> bool {
        let position = self.state.position;
        position.step_in_epoch.0 >= self.steps_per_epoch() || position.step.0 >= self.total_steps
    }

    fn steps_per_epoch(&self) -> u64 {
        plan::steps_per_epoch(self.facts.train_samples, self.config.batch_size as usize)
    }

    fn is_reached(&self, epoch: Epoch) -> bool {
        epoch.0 * self.steps_per_epoch() < self.total_steps
    }

    fn learning_rate_at(&self, position: Position) -> f64 {
        let position = schedule::StepPosition {
            epoch: position.epoch,
            step: position.step,
            total_steps: self.total_steps,
        };
        schedule::learning_rate(&self.config, position)
    }

    /// A step that this rank has committed is committed on every rank, or can be: what is to be told of it may go out.
    fn confirm(&mut self) -> Result<(), TrainerError> {
        self.reporter.release()?;
        self.progress.committed(self.state.position);
        Ok(())
    }
}
