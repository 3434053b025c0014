//! What a run is asked for, validated.
//!
//! The command line becomes it; `prepare` acts on it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use common::config::{Config, ConfigError};
use dataset::DatasetSource;

use crate::door::DoorSettings;

/// A validated wish to train.
#[derive(Clone, Debug)]
pub struct RunPlan {
    /// The resolved settings.
    pub config: Config,
    /// Who may come in.
    pub door: DoorSettings,
    /// Where its samples come from.
    pub dataset: DatasetSource,
    /// A folder that holds MNIST, so that nothing needs to be downloaded.
    pub mnist_dir: Option<PathBuf>,
    /// Go on with the run in `config.run_dir`, which is set then.
    pub resume: bool,
    /// Whoever starts this coordinator starts its workers along with it, whether there is anything left to do or not:
    /// `--resume-if-any` without `--spawn`.
    pub workers_come: bool,
    /// Settings that a variable has given, and which: errors name it.
    pub variables: BTreeMap<String, String>,
}

/// Says of an error about a setting which variable has given it, if one has.
pub fn naming_its_variable(
    variables: &BTreeMap<String, String>,
    error: anyhow::Error,
) -> anyhow::Error {
    let key = match error.downcast_ref() {
        Some(ConfigError::Invalid { key, .. }) => *key,
        Some(ConfigError::ChangedOnResume { key, .. }) => key,
        _ => return error,
    };
    match variables.get(key) {
        Some(variable) => {
            let named = format!("the variable {variable}");
            error.context(named)
        }
        None => error,
    }
}
