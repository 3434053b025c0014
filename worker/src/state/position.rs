//! How far a run has got: the step that comes next, and what the epoch has seen before it.

use common::ids::{Epoch, Step};
use serde::{Deserialize, Serialize};

use crate::mathematics::batch_terms::TermValue;

/// The step that is computed next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Its epoch.
    pub epoch: Epoch,
    /// Its number within the epoch.
    pub step_in_epoch: Step,
    /// Its number within the run, which is the number of committed steps.
    pub step: Step,
}

/// What the current epoch has seen so far, in step order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EpochRecord {
    /// Σ over steps of mean softmax loss times samples.
    pub softmax_loss: f64,
    /// Σ over steps of mean center loss times samples.
    pub center_loss: f64,
    /// Likewise, of what of the loss looks at whole batches; none before the epoch's first step.
    pub terms: Vec<TermValue>,
    /// Samples classified rightly as they were trained on.
    pub correct: u64,
    /// `[samples, feature_dim]`.
    pub features: Vec<f64>,
    /// One a sample.
    pub labels: Vec<u16>,
    /// One a sample.
    pub predictions: Vec<u16>,
}
