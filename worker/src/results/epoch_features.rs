//! One epoch's features and metrics, as kept in `features/epoch=K.safetensors`.
//!
//! The trainer fills them, rank 0 sends them to the coordinator as a file, and everything that is drawn or measured
//! after an epoch ([`super::geometry`], [`super::picture`]) is a pure function of them. Never touches a disk.

use std::collections::HashMap;
use std::sync::Arc;

use common::config::Precision;
use common::data_shape::DataShape;
use common::ids::Epoch;
use common::labels;
use common::metrics::EpochMetrics;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::state::label_dtype;

/// The one metadata key. One, because the header keeps metadata in a hash map, whose order would vary.
const METADATA_KEY: &str = "concentric";

/// Why features are not usable.
#[derive(Debug, thiserror::Error)]
pub enum FeatureError {
    /// Not a safetensors file, a truncated one, or one without a tensor that is needed.
    #[error("not a whole feature file: {0}")]
    File(#[from] SafeTensorError),
    /// The metadata is absent or not what this version writes.
    #[error("the feature file's `{METADATA_KEY}` metadata cannot be read: {0}")]
    Metadata(#[from] serde_json::Error),
    /// Tensors that contradict each other.
    #[error("the features are inconsistent: {0}")]
    Inconsistent(String),
    /// A feature or a center that cannot be drawn.
    #[error("{part} {row} has a value that is not a finite number")]
    NotFinite {
        /// What it is a row of.
        part: &'static str,
        /// Which row, from 0.
        row: usize,
    },
}

/// What an epoch leaves behind for pictures and geometry.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochFeatures {
    /// The epoch's means and geometry.
    pub metrics: EpochMetrics,
    /// Name of the dataset, for the title.
    pub dataset: String,
    /// Whether the images were drawn by the program itself.
    pub synthetic: bool,
    /// A name for each class.
    pub class_names: Arc<[String]>,
    /// Every training sample as it was trained on, in the order of the epoch's permutation.
    pub train: FeatureSet,
    /// The test set after the epoch, in file order; `None` where there is none.
    pub test: Option<FeatureSet>,
    /// `[classes, dim]`, as they were at the epoch's end; `None` where the loss has none.
    pub centers: Option<Points>,
}

/// Features of a set of samples with what they are and what they were taken for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureSet {
    /// `[n, dim]`.
    pub features: Points,
    /// The right class of each.
    pub labels: Vec<u16>,
    /// The predicted class of each.
    pub predictions: Vec<u16>,
}

/// `n` points of `dim` coordinates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    /// Coordinates of a point.
    pub dim: usize,
    /// `[n, dim]`, row by row.
    pub values: Vec<f64>,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    dataset: String,
    synthetic: bool,
    metrics: EpochMetrics,
    /// Those of classes that are more than numbered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class_names: Option<Vec<String>>,
}

impl Points {
    /// The points one after another, each `[dim]`.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.dim.max(1))
    }

    /// How many points there are.
    pub fn count(&self) -> usize {
        self.values.len() / self.dim.max(1)
    }
}

impl FeatureSet {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

impl EpochFeatures {
    /// The epoch these belong to.
    pub fn epoch(&self) -> Epoch {
        self.metrics.epoch
    }

    /// The file's bytes, features and centers stored as the run computes them: equal features and metrics give equal bytes. `images_per_second` is written as 0, being
    /// the one number that another run of the same training would not repeat.
    pub fn to_safetensors(&self, precision: Precision) -> Result<Vec<u8>, FeatureError> {
        self.check_shapes()?;
        let metadata = serde_json::to_string(&Metadata {
            dataset: self.dataset.clone(),
            synthetic: self.synthetic,
            metrics: EpochMetrics { images_per_second: 0.0, ..self.metrics.clone() },
            class_names: (self.class_names != digits()).then(|| self.class_names.to_vec()),
        })?;
        let mut tensors = Vec::new();
        for (name, set) in self.sets() {
            tensors.push(points_tensor(format!("{name}.features"), &set.features, precision));
            tensors.push(self.classes_tensor(format!("{name}.labels"), &set.labels));
            tensors.push(self.classes_tensor(format!("{name}.predictions"), &set.predictions));
        }
        if let Some(centers) = &self.centers {
            tensors.push(points_tensor("centers".into(), centers, precision));
        }
        let views: Vec<_> = tensors.iter().map(Tensor::view).collect::<Result<_, _>>()?;
        let metadata = HashMap::from([(METADATA_KEY.to_owned(), metadata)]);
        Ok(safetensors::serialize(views, Some(metadata))?)
    }

    /// Reads what [`Self::to_safetensors`] wrote. Anything else is an error.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, FeatureError> {
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let file = SafeTensors::deserialize(bytes)?;
        let text = header.metadata().as_ref().and_then(|map| map.get(METADATA_KEY));
        let metadata: Metadata = serde_json::from_str(text.map_or("", String::as_str))?;
        let has = |name: &str| file.names().contains(&name);
        let features = Self {
            metrics: metadata.metrics,
            dataset: metadata.dataset,
            synthetic: metadata.synthetic,
            train: read_set(&file, "train")?,
            test: has("test.features").then(|| read_set(&file, "test")).transpose()?,
            class_names: metadata.class_names.map_or_else(digits, Into::into),
            centers: has("centers").then(|| read_points(&file, "centers")).transpose()?,
        };
        features.check_shapes()?;
        Ok(features)
    }

    /// Whether lengths, dimensions and classes agree with each other.
    pub fn check_shapes(&self) -> Result<(), FeatureError> {
        let (dim, classes) = (self.train.features.dim, self.class_names.len());
        for (name, set) in self.sets() {
            check_points(name, &set.features, set.len(), dim)?;
            if set.predictions.len() != set.len() {
                let (labels, predictions) = (set.len(), set.predictions.len());
                return inconsistent(format!(
                    "{name} has {labels} labels and {predictions} predictions"
                ));
            }
            let given = set.labels.iter().chain(&set.predictions);
            if let Some(class) = given.copied().find(|class| usize::from(*class) >= classes) {
                return inconsistent(format!("{name} has class {class}, of {classes} classes"));
            }
        }
        self.centers.as_ref().map_or(Ok(()), |points| check_points("centers", points, classes, dim))
    }

    /// Whether every feature and center is a finite number, as everything that draws them needs.
    pub fn check_finite(&self) -> Result<(), FeatureError> {
        let sets = self.sets().into_iter().map(|(name, set)| (name, &set.features));
        for (part, points) in sets.chain(self.centers.iter().map(|centers| ("centers", centers))) {
            if let Some(row) = points.rows().position(|row| row.iter().any(|v| !v.is_finite())) {
                return Err(FeatureError::NotFinite { part, row });
            }
        }
        Ok(())
    }

    fn classes_tensor(&self, name: String, given: &[u16]) -> Tensor {
        let classes = self.class_names.len();
        let (dtype, shape) = (label_dtype(classes), vec![given.len()]);
        Tensor { name, dtype, shape, bytes: labels::to_bytes(given, classes) }
    }

    fn sets(&self) -> Vec<(&'static str, &FeatureSet)> {
        let test = self.test.iter().map(|set| ("test", set));
        std::iter::once(("train", &self.train)).chain(test).collect()
    }
}

fn inconsistent<T>(what: String) -> Result<T, FeatureError> {
    Err(FeatureError::Inconsistent(what))
}

/// The names of classes that a file gives no names.
fn digits() -> Arc<[String]> {
    (0..DataShape::MNIST.classes).map(|class| class.to_string()).collect()
}

fn check_points(name: &str, points: &Points, rows: usize, dim: usize) -> Result<(), FeatureError> {
    if points.dim == 0 || points.dim != dim {
        return inconsistent(format!("{name} has {} coordinates, train {dim}", points.dim));
    }
    if rows.checked_mul(dim) != Some(points.values.len()) {
        let values = points.values.len();
        return inconsistent(format!("{name} has {values} numbers for {rows} points of {dim}"));
    }
    Ok(())
}

/// A tensor's bytes, held while a view of them is written.
struct Tensor {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensor {
    fn view(&self) -> Result<(&str, TensorView<'_>), SafeTensorError> {
        Ok((&self.name, TensorView::new(self.dtype, self.shape.clone(), &self.bytes)?))
    }
}

fn points_tensor(name: String, points: &Points, precision: Precision) -> Tensor {
    let values = points.values.iter();
    let (dtype, bytes) = match precision.is_stored_in_64_bits() {
        false => (Dtype::F32, values.flat_map(|&v| (v as f32).to_le_bytes()).collect()),
        true => (Dtype::F64, values.flat_map(|v| v.to_le_bytes()).collect()),
    };
    Tensor { name, dtype, shape: vec![points.count(), points.dim], bytes }
}

fn read_set(file: &SafeTensors, name: &str) -> Result<FeatureSet, FeatureError> {
    Ok(FeatureSet {
        features: read_points(file, &format!("{name}.features"))?,
        labels: read_classes(file, &format!("{name}.labels"))?,
        predictions: read_classes(file, &format!("{name}.predictions"))?,
    })
}

fn read_points(file: &SafeTensors, name: &str) -> Result<Points, FeatureError> {
    let tensor = file.tensor(name)?;
    let (&[_, dim], bytes) = (tensor.shape(), tensor.data()) else {
        return inconsistent(format!("{name} has shape {:?}, not [n, dim]", tensor.shape()));
    };
    let values = match tensor.dtype() {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b).into()).collect(),
        Dtype::F64 => bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect(),
        other => return inconsistent(format!("{name} is of type {other:?}, not F32 or F64")),
    };
    Ok(Points { dim, values })
}

fn read_classes(file: &SafeTensors, name: &str) -> Result<Vec<u16>, FeatureError> {
    let tensor = file.tensor(name)?;
    match (tensor.dtype(), tensor.shape().len()) {
        (Dtype::U8, 1) => Ok(tensor.data().iter().map(|class| u16::from(*class)).collect()),
        (Dtype::U16, 1) => {
            Ok(tensor.data().as_chunks().0.iter().map(|class| u16::from_le_bytes(*class)).collect())
        }
        (dtype, _) => {
            inconsistent(format!("{name} is {dtype:?} {:?}, not U8 or U16 [n]", tensor.shape()))
        }
    }
}

#[cfg(test)]
#[path = "epoch_features/tests.rs"]
mod tests;
