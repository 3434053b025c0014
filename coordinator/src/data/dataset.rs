//! The samples of a run, held once, and their identity.
//!
//! Made by `run::prepare` before anything starts; `samples` reads it.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use common::dataset::{Dataset, Samples};
use common::hexadecimal;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What is trained on and tested with.
#[derive(Debug)]
pub struct Data {
    /// Which samples these are.
    pub identity: DataIdentity,
    /// Drawn by the program itself, not real.
    pub synthetic: bool,
    /// Training samples in use.
    pub train: Samples,
    /// Test samples in use, possibly none.
    pub test: Samples,
}

/// Which samples a run is made of; saved with it, so that a resumed run cannot go on with others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DataIdentity {
    /// "mnist", "synthetic", …
    pub dataset: String,
    /// Training samples in use.
    pub train_samples: u64,
    /// Test samples in use.
    pub test_samples: u64,
    /// Of training images, training labels, test images, test labels in use, one after the other; hexadecimal.
    pub sha256: String,
}

/// Where it is saved in a run directory.
pub const DATA_IDENTITY: &str = "dataset.json";

impl DataIdentity {
    /// Reads what was saved with the run in `root`.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(root: &Path) -> Result<Self> {
        let path = root.join(DATA_IDENTITY);
        let context = || format!("cannot read {}", path.display());
        let text = std::fs::read_to_string(&path).with_context(context)?;
        serde_json::from_str(&text).with_context(context)
    }
}

impl From<Dataset> for Data {
    fn from(mut dataset: Dataset) -> Self {
        for samples in [&mut dataset.train, &mut dataset.test] {
            // `--train-samples` may have left most of a large file's memory unused.
            samples.images.shrink_to_fit();
            samples.labels.shrink_to_fit();
        }
        let identity = DataIdentity {
            dataset: dataset.name,
            train_samples: dataset.train.len() as u64,
            test_samples: dataset.test.len() as u64,
            sha256: digest(&dataset.train, &dataset.test),
        };
        Self { identity, synthetic: dataset.synthetic, train: dataset.train, test: dataset.test }
    }
}

fn digest(train: &Samples, test: &Samples) -> String {
    let mut hash = Sha256::new();
    for part in [&train.images, &train.labels, &test.images, &test.labels] {
        hash.update(part);
    }
    hexadecimal(&hash.finalize())
}

impl fmt::Display for DataIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dataset, train_samples, test_samples, sha256 } = self;
        write!(f, "{dataset} ({train_samples} + {test_samples} samples, SHA-256 {sha256:.12}…)")
    }
}
