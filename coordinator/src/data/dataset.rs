//! The samples of a run, held once, and their identity.
//!
//! Made by `run::prepare` before anything starts; `samples` reads it.

use std::fmt;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use common::data_shape::DataShape;
use common::{hexadecimal, labels, wire};
use dataset::samples::Measured;
use dataset::{Dataset, Samples};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What is trained on and tested with.
#[derive(Debug)]
pub struct Data {
    /// Which samples these are.
    pub identity: DataIdentity,
    /// Drawn by the program itself, not real.
    pub synthetic: bool,
    /// Mean and deviation of the training samples, where somebody has measured them before.
    pub measured: Option<Measured>,
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
    /// Channels, height and width of every image.
    #[serde(default = "digits")]
    pub image: [usize; 3],
    /// A name for each class.
    #[serde(default = "ten")]
    pub class_names: Vec<String>,
    /// Of training images, training labels, test images, test labels in use, one after the other; hexadecimal.
    pub sha256: String,
}

/// What runs were made of before it was written down.
fn digits() -> [usize; 3] {
    let DataShape { channels, height, width, .. } = DataShape::MNIST;
    [channels, height, width]
}

fn ten() -> Vec<String> {
    (0..DataShape::MNIST.classes).map(|class| class.to_string()).collect()
}

/// Where it is saved in a run directory.
pub const DATA_IDENTITY: &str = "dataset.json";

impl DataIdentity {
    /// Of no sample of handwritten digits yet, for tests.
    pub fn of_digits() -> Self {
        Self {
            dataset: "mnist".to_string(),
            train_samples: 0,
            test_samples: 0,
            image: digits(),
            class_names: ten(),
            sha256: String::new(),
        }
    }

    /// Of every image, and how many classes there are.
    pub fn shape(&self) -> DataShape {
        let [channels, height, width] = self.image;
        DataShape { channels, height, width, classes: self.class_names.len() }
    }

    /// What workers are told of its shape.
    pub fn message(&self) -> proto::DataShape {
        wire::data_message(self.shape(), &self.class_names)
    }

    /// Whether these are the same samples, whatever they are called.
    pub fn has_samples_of(&self, other: &Self) -> bool {
        self.sha256 == other.sha256 && self.shape() == other.shape()
    }

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

impl Data {
    /// The samples of a run.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn of(dataset: Dataset) -> io::Result<Self> {
        let sha256 = match dataset.facts() {
            Some(facts) => facts.sha256.clone(),
            None => digest(dataset.shape, [&dataset.train, &dataset.test])?,
        };
        let measured = dataset.facts().map(|facts| facts.measured.clone());
        let Dataset { name, shape, class_names, train, test, synthetic } = dataset;
        let identity = DataIdentity {
            dataset: name,
            train_samples: train.len() as u64,
            test_samples: test.len() as u64,
            image: [shape.channels, shape.height, shape.width],
            class_names: class_names.to_vec(),
            sha256,
        };
        Ok(Self { identity, synthetic, measured, train, test })
    }
}

fn digest(shape: DataShape, parts: [&Samples; 2]) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut image = Vec::with_capacity(shape.numbers());
    for samples in parts {
        for index in 0..samples.len() {
            image.clear();
            samples.read_image(index, &mut image)?;
            hash.update(&image);
        }
        hash.update(labels::to_bytes(samples.labels(), shape.classes));
    }
    Ok(hexadecimal(&hash.finalize()))
}

impl fmt::Display for DataIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dataset, train_samples, test_samples, sha256, .. } = self;
        write!(f, "{dataset} ({train_samples} + {test_samples} samples, SHA-256 {sha256:.12}…)")
    }
}
