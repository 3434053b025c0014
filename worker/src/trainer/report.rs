//! What rank 0 sends to the coordinator, and the pace that every rank measures.

use std::sync::Arc;
use std::time::Duration;

use common::config::Config;
use common::ids::{Epoch, Step};
use common::metrics::{EpochMetrics, StepMetrics};
use proto::report_metrics_request::Metrics;

use super::step::Losses;
use super::{Trainer, TrainerError};
use crate::artist::{Artist, features_path};
use crate::checkpoint::Checkpoint;
use crate::epoch_features::EpochFeatures;
use crate::link::Link;
use crate::network::kernels::Float;
use crate::uplink::{Uplink, Upload};

/// Rank 0's two queues: results, in order, and pictures.
pub struct Reporter {
    uplink: Uplink,
    artist: Artist,
    /// Pace since the last line of metrics.
    since_report: Pace,
    /// Pace of the epoch's training.
    pub(super) epoch: Pace,
}

/// Samples over time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    samples: usize,
    time: Duration,
}

impl Pace {
    /// Adds a step.
    pub fn add(&mut self, samples: usize, time: Duration) {
        self.samples += samples;
        self.time += time;
    }

    /// Samples a second, 0 before the first.
    pub fn images_per_second(&self) -> f64 {
        if self.time.is_zero() { 0.0 } else { self.samples as f64 / self.time.as_secs_f64() }
    }
}

impl Reporter {
    /// Starts both queues of a run whose epochs before `first` are complete.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn start(link: &Link, config: &Config, first: Epoch) -> Result<Self, TrainerError> {
        let threads = |error: std::io::Error| TrainerError::Threads(error.to_string());
        Ok(Self {
            uplink: Uplink::start(link.clone()).map_err(threads)?,
            artist: Artist::start(link.clone(), config, first).map_err(threads)?,
            since_report: Pace::default(),
            epoch: Pace::default(),
        })
    }

    /// Queues a checkpoint under all of `names`: resume files first.
    ///
    /// # Errors
    /// An earlier upload failed.
    pub fn save(&mut self, checkpoint: Checkpoint, names: &[String]) -> Result<(), TrainerError> {
        let Checkpoint { model, resume } = checkpoint;
        for (content, suffix) in [(resume, "resume.safetensors"), (model, "safetensors")] {
            let paths = names.iter().map(|name| format!("checkpoints/{name}.{suffix}")).collect();
            self.uplink.send(Upload::File { paths, content: Arc::new(content) })?;
        }
        Ok(())
    }

    /// Queues an epoch's metrics and features, and its pictures.
    ///
    /// # Errors
    /// An earlier upload failed, or the features cannot be written.
    pub fn epoch(
        &mut self,
        metrics: &EpochMetrics,
        features: EpochFeatures,
        config: &Config,
    ) -> Result<(), TrainerError> {
        self.uplink.send(Upload::Metrics(Metrics::Epoch(metrics.into())))?;
        let content = Arc::new(features.to_safetensors(config.precision)?);
        let paths = vec![features_path(features.epoch())];
        self.uplink.send(Upload::File { paths, content })?;
        self.artist.draw(features);
        Ok(())
    }

    /// Waits until everything is stored and drawn.
    ///
    /// # Errors
    /// What could not be.
    pub fn finish(mut self) -> Result<(), TrainerError> {
        // The artist's animation reads what the uplink stores.
        self.uplink.finish()?;
        self.artist.finish()
    }
}

impl<T: Float> Trainer<T> {
    /// Rank 0: a line of metrics, if it is time for one.
    pub(super) fn report_step(
        &mut self,
        epoch: Epoch,
        step: Step,
        losses: Losses,
        learning_rate: f64,
    ) -> Result<(), TrainerError> {
        let Some(reporter) = &mut self.reporter else {
            return Ok(());
        };
        if !step.0.is_multiple_of(self.config.log_every) {
            return Ok(());
        }
        let metrics = StepMetrics {
            epoch,
            step,
            loss: losses.total(),
            softmax_loss: losses.softmax,
            center_loss: losses.center,
            lr: learning_rate,
            images_per_second: reporter.since_report.images_per_second(),
        };
        reporter.since_report = Pace::default();
        Ok(reporter.uplink.send(Upload::Metrics(Metrics::Step((&metrics).into())))?)
    }

    /// Takes note of a step's time.
    pub(super) fn measure(&mut self, batch: usize, time: Duration) {
        let waited = self.engine.reduction.take_waited();
        let share = waited.as_secs_f64() / time.as_secs_f64().max(f64::MIN_POSITIVE);
        self.progress.measured(batch as f64 / time.as_secs_f64(), share);
        if let Some(reporter) = &mut self.reporter {
            reporter.since_report.add(batch, time);
            reporter.epoch.add(batch, time);
        }
    }
}
