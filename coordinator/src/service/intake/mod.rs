//! What workers may say and send: every length, name, shape, step and number is held against the run's settings before
//! it is taken.
//!
//! - this file: what a run has, in numbers; steps and positions;
//! - `words`: the messages of a session;
//! - `metrics`: lines of metrics;
//! - `artifact`: names and lengths of files, and what must be in them;
//! - [`joins`]: how often workers may join.
//!
//! The handlers call it. Pure, but for the memory of `joins`: what it refuses changes nothing.

mod artifact;
pub mod joins;
mod metrics;
#[cfg(test)]
mod tests;
mod words;

use common::architecture::TensorSpec;
use common::config::{Config, PictureFormat, schedule};
use common::digests;
use common::plan;
use common::status::ServiceError;

use crate::data::DataIdentity;

/// What a run has, in numbers.
#[derive(Clone, Debug)]
pub struct Intake {
    /// Steps that the run can have done.
    steps: u64,
    steps_per_epoch: u64,
    train_samples: u64,
    test_samples: u64,
    feature_dim: usize,
    classes: usize,
    /// Bytes of a stored number.
    number_size: usize,
    formats: Vec<PictureFormat>,
    /// The tensors of a model file.
    tensors: Vec<TensorSpec>,
    /// How many tensors of a state there are.
    digests: usize,
    /// The terms of the loss over the whole batch.
    terms: Vec<&'static str>,
}

impl Intake {
    /// That of a run on `data`, of which so many steps were done before this coordinator.
    pub fn new(config: &Config, data: &DataIdentity, done: u64) -> Self {
        let DataIdentity { train_samples, test_samples, .. } = *data;
        let samples = train_samples as usize;
        let steps_per_epoch = plan::steps_per_epoch(samples, config.batch_size as usize).max(1);
        let planned = schedule::total_steps(config, samples);
        let steps = match done {
            0 => planned,
            // A resumed run may have been shortened, and its workers may be ahead of what was written down.
            _ => planned.max(done.saturating_add(steps_per_epoch)),
        };
        let feature_dim = config.feature_dim as usize;
        Self {
            steps,
            steps_per_epoch,
            train_samples,
            test_samples,
            feature_dim,
            classes: data.shape().classes,
            number_size: if config.precision.is_stored_in_64_bits() { 8 } else { 4 },
            formats: config.picture_format.clone(),
            tensors: config.tensors(data.shape()),
            digests: digests::names(config, data.shape()).len(),
            terms: config.loss.terms.iter().map(|term| term.name).collect(),
        }
    }

    /// Epochs that the run can have done, a last one in parts.
    fn epochs(&self) -> u64 {
        self.steps.div_ceil(self.steps_per_epoch)
    }

    /// Whether so many steps can be done.
    fn check_done(&self, step: u64) -> Result<(), String> {
        let steps = self.steps;
        (step <= steps).then_some(()).ok_or_else(|| format!("step {step} of a run of {steps}"))
    }

    /// Whether a state can be at a position: in this epoch, after so many of its steps and so many of the run.
    fn check_position(&self, epoch: u64, within: u64, step: u64) -> Result<(), String> {
        self.check_done(step)?;
        let before = epoch.checked_mul(self.steps_per_epoch);
        if within > self.steps_per_epoch
            || before.and_then(|it| it.checked_add(within)) != Some(step)
        {
            let steps = self.steps_per_epoch;
            return Err(format!(
                "step {within} of epoch {epoch} as step {step} of a run with {steps} an epoch"
            ));
        }
        Ok(())
    }
}

fn refused(what: &str, why: impl std::fmt::Display) -> ServiceError {
    ServiceError::Invalid(format!("{what} was not taken: {why}"))
}
