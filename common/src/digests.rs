//! What the tensors of a run have come to every now and then: `digests.jsonl`, which `coordinator replay` compares with what
//! it computes again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::architecture::{FIRST_MOMENT, SECOND_MOMENT};
use crate::config::{Config, Optimizer};
use crate::data_shape::DataShape;
use crate::ids::{Epoch, Step};

/// One line of `digests.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename = "step")]
pub struct StepDigests {
    /// Epoch the step belongs to.
    pub epoch: Epoch,
    /// Counted from 0 over the run.
    pub step: Step,
    /// Of each tensor after the step, sixteen hexadecimal digits under its name.
    pub digests: BTreeMap<String, String>,
}

impl StepDigests {
    /// The line of a step, whose digests are those of tensors of these [`names`].
    pub fn new(names: Vec<String>, (epoch, step): (Epoch, Step), digests: &[u64]) -> Self {
        let digits = digests.iter().map(|digest| format!("{digest:016x}"));
        Self { epoch, step, digests: names.into_iter().zip(digits).collect() }
    }
}

/// The tensors of a state: those of a model file, then what the optimizer remembers of each parameter.
pub fn names(config: &Config, data: DataShape) -> Vec<String> {
    let mut names: Vec<String> = config.tensors(data).into_iter().map(|spec| spec.name).collect();
    let parameters = config.architecture(data).parameters(config.feature_dim as usize);
    let moments: &[&str] = match config.optimizer {
        Optimizer::Sgd => &[FIRST_MOMENT],
        Optimizer::Adam => &[FIRST_MOMENT, SECOND_MOMENT],
    };
    for moment in moments {
        names.extend(parameters.iter().map(|spec| format!("{moment}{}", spec.name)));
    }
    names
}
