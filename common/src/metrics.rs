//! What is measured each step and each epoch, and its line in `metrics.jsonl`.

mod terms;

use serde::{Deserialize, Serialize};

use crate::ids::{Epoch, Step};

pub use terms::{TermMetrics, TermsMetrics};

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Record {
    /// `"kind":"step"`.
    Step(StepMetrics),
    /// `"kind":"epoch"`.
    Epoch(EpochMetrics),
}

/// The losses of one global batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// Epoch the step belongs to.
    pub epoch: Epoch,
    /// Counted from 0 over the run.
    pub step: Step,
    /// Sum of all losses.
    pub loss: f64,
    /// Mean negative log-likelihood over the global batch, 0 where a term with a margin classifies.
    pub softmax_loss: f64,
    /// Center loss, 0 where it is switched off.
    pub center_loss: f64,
    /// The terms over the whole batch.
    #[serde(flatten)]
    pub terms: TermsMetrics,
    /// The network's learning rate in this step.
    pub lr: f64,
    /// Global throughput since the last report.
    pub images_per_second: f64,
    /// Of each tensor after the step, in the order of [`digests::names`](crate::digests::names); a file of its own holds
    /// them.
    #[serde(skip)]
    pub digests: Vec<u64>,
}

/// The means and geometry of one epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// The epoch that ended.
    pub epoch: Epoch,
    /// Mean of the steps' losses, weighted by their samples.
    pub loss: f64,
    /// Likewise, of the softmax loss.
    pub softmax_loss: f64,
    /// Likewise, of the center loss.
    pub center_loss: f64,
    /// Likewise, of the terms over the whole batch.
    #[serde(flatten)]
    pub terms: TermsMetrics,
    /// Share of training samples classified rightly as they were trained on, 0…1.
    pub train_accuracy: f64,
    /// The network's learning rate in the epoch's last step.
    pub lr: f64,
    /// Global throughput of the epoch's training. Not reproducible, so 0 in feature files.
    pub images_per_second: f64,
    /// Results on the test set, all `null` when there is none.
    #[serde(flatten)]
    pub test: TestMetrics,
}

/// Results on the test set. `None` where there are no samples to tell from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TestMetrics {
    /// Share classified rightly, 0…1.
    pub test_accuracy: Option<f64>,
    /// The same for each class.
    pub class_accuracy: Option<Vec<Option<f64>>>,
    /// Mean distance of a sample's features to its class's mean, in units of the features.
    pub intra_distance: Option<f64>,
    /// Mean distance between two class means.
    pub inter_distance: Option<f64>,
    /// `intra_distance / inter_distance`.
    pub distance_ratio: Option<f64>,
    /// Share of samples whose nearest center is their own class's.
    pub nearest_center_accuracy: Option<f64>,
}
