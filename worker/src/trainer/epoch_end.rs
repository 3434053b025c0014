//! What follows an epoch's last step: evaluation on all ranks, then metrics, features, checkpoint and pictures.

use std::sync::Arc;
use std::time::Instant;

use common::ids::{Epoch, Step};
use common::metrics::{EpochMetrics, TestMetrics};

use super::agreement::OldVectors;
use super::error::TrainerError;
use super::training::Trainer;
use crate::fault::Phase;
use crate::mathematics::kernels::Float;
use crate::network::norm_parameters;
use crate::results::epoch_features::{EpochFeatures, FeatureSet, Points};
use crate::results::evaluate::{Evaluation, Part, TestSet, activations};
use crate::results::geometry;
use crate::state::{Checkpoint, Position};

impl<T: Float> Trainer<T> {
    /// Ends a complete epoch.
    pub(super) fn end_epoch(&mut self) -> Result<(), TrainerError> {
        self.agree_now()?;
        let epoch = self.state.position.epoch;
        let features = self.summarise()?;
        self.set_out(self.way_back(OldVectors::Current));
        let accuracy = features.metrics.test.test_accuracy;
        let is_best = accuracy > self.state.best_accuracy;
        if is_best {
            self.state.best_accuracy = accuracy;
        }
        self.agreement.keep_record(std::mem::take(&mut self.state.record));
        self.state.position = Position {
            epoch: Epoch(epoch.0 + 1),
            step_in_epoch: Step(0),
            step: self.state.position.step,
        };
        self.state.ended = self.state.position.step.0 >= self.total_steps;
        let kept = self.keep(epoch, features, is_best);
        self.claim_memory(kept.err())
    }

    /// Ends a run in the middle of an epoch as an epoch's end does. The state remains in the middle of the epoch, so
    /// that a resumed run goes on as if it had not ended; what such an end achieves counts as the best only until an
    /// epoch is complete.
    pub(super) fn end_within_epoch(&mut self) -> Result<(), TrainerError> {
        self.agree_now()?;
        let features = self.summarise()?;
        self.set_out(self.way_back(OldVectors::Current));
        let is_best =
            self.state.best_accuracy.is_none() && features.metrics.test.test_accuracy.is_some();
        self.state.ended = true;
        let kept = self.keep(self.state.position.epoch, features, is_best);
        self.claim_memory(kept.err())
    }

    /// Evaluates, and gathers what the epoch leaves behind; the same on every rank but for the pace.
    fn summarise(&mut self) -> Result<EpochFeatures, TrainerError> {
        let test = self.evaluate()?;
        let record = &self.state.record;
        let dim = self.config.feature_dim as usize;
        let train = FeatureSet {
            features: Points { dim, values: record.features.clone() },
            labels: record.labels.clone(),
            predictions: record.predictions.clone(),
        };
        let centers = (self.config.loss.has_centers())
            .then(|| Points { dim, values: self.state.centers.clone() });
        let metrics = self.metrics(test.as_ref(), centers.as_ref());
        let dataset = self.facts.dataset.clone();
        let synthetic = dataset == "synthetic";
        let class_names = Arc::clone(&self.facts.class_names);
        Ok(EpochFeatures { metrics, dataset, synthetic, class_names, train, test, centers })
    }

    fn metrics(&self, test: Option<&FeatureSet>, centers: Option<&Points>) -> EpochMetrics {
        let record = &self.state.record;
        let samples = record.labels.len().max(1) as f64;
        let (softmax_loss, center_loss) =
            (record.softmax_loss / samples, record.center_loss / samples);
        let terms = self.engine.terms.metrics(&record.terms, samples);
        let losses = terms.0.iter().fold(softmax_loss + center_loss, |sum, term| sum + term.loss);
        EpochMetrics {
            epoch: self.state.position.epoch,
            loss: losses,
            softmax_loss,
            center_loss,
            terms,
            train_accuracy: record.correct as f64 / samples,
            lr: self.last_learning_rate(),
            images_per_second: self.reporter.epoch.images_per_second(),
            test: test.map_or_else(TestMetrics::default, |test| {
                geometry::test_metrics(test, self.state.classes(), centers)
            }),
        }
    }

    fn evaluate(&mut self) -> Result<Option<FeatureSet>, TrainerError> {
        if self.facts.test_samples == 0 {
            return Ok(None);
        }
        self.progress.enter("evaluating");
        let started = Instant::now();
        self.reach(Phase::Evaluation);
        let mut samples = self.feed.test_samples();
        let read = |count| samples.take(count).map_err(TrainerError::from);
        let set = TestSet {
            logical_shards: self.config.shard_count(),
            samples: self.facts.test_samples,
            batch_size: self.config.test_batch_size as usize,
            feature_dim: self.config.feature_dim as usize,
            data: self.state.layout.architecture.data,
        };
        let features = if let Some(run) = &self.on_device {
            let evaluation = run.accelerator.evaluation(&self.state, &self.engine.terms)?;
            let classify = |parts: &mut [Part]| {
                parts.iter().map(|part| evaluation.rows_of(part)).collect::<Result<_, _>>()
            };
            set.run(&mut self.engine.reduction, read, classify)?
        } else {
            self.engine.renew_parameters(&self.state)?;
            let norms = norm_parameters::<T>(&self.state.layout, &self.state.flat)?;
            let evaluation = Evaluation {
                pool: &self.engine.pool,
                parameters: &self.engine.parameters,
                activations: activations(&self.state.running, &norms),
                table: &self.engine.table,
                feature_dim: set.feature_dim,
                terms: &self.engine.terms,
            };
            let classify = |parts: &mut [Part]| evaluation.classify(parts);
            set.run(&mut self.engine.reduction, read, classify)?
        };
        tracing::debug!(
            samples = set.samples,
            seconds = started.elapsed().as_secs_f64(),
            "evaluated"
        );
        Ok(Some(features))
    }

    /// Keeps everything for the coordinator, in the order in which it must be stored.
    fn keep(
        &mut self,
        epoch: Epoch,
        features: EpochFeatures,
        is_best: bool,
    ) -> Result<(), TrainerError> {
        self.reporter.epoch(features, &self.config)?;
        let mut names = vec![format!("epoch={epoch}"), "last".to_string()];
        names.extend(is_best.then(|| "best".to_string()));
        self.reporter.save(Checkpoint::of(&self.state)?, &names);
        Ok(())
    }

    /// The learning rate of the step before the next.
    fn last_learning_rate(&self) -> f64 {
        let mut position = self.state.position;
        position.step = Step(position.step.0.saturating_sub(1));
        self.learning_rate_at(position)
    }
}
