//! Files from the first rank: names that a run has, no longer than such a file can be, and tensors of the right shapes
//! and finite numbers in them.
//!
//! Pictures are stored as they come: nothing but people's viewers reads them.

use common::architecture::{FIRST_MOMENT, SECOND_MOMENT, TensorKind};
use common::labels;
use common::status::ServiceError;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::{Intake, refused};
use crate::run_directory::{ArtifactPath, CheckpointFile, CheckpointMetadata, model_file};

/// Names of one file: an epoch's, `last`, `best`.
const MOST_NAMES: usize = 4;
/// Bytes of a file beside its numbers.
const SPARE: u64 = 1 << 20;
/// Bytes of a picture, of one sample in it, and of one epoch in an animation.
const PICTURE: [u64; 3] = [16 << 20, 256, 2 << 20];

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Model,
    Resume,
    Features,
    Picture,
}

impl Intake {
    /// Whether a file of `length` bytes may come that is to stand at `paths`.
    ///
    /// # Errors
    /// A name that the run has no file of, names of different files, or too many bytes.
    pub fn check_header(&self, paths: &[ArtifactPath], length: u64) -> Result<(), ServiceError> {
        let Some(first) = paths.first() else {
            return Err(ServiceError::Invalid("an artifact needs at least one path".to_string()));
        };
        let content = self.content(first)?;
        for (number, path) in paths.iter().enumerate() {
            let is_again = paths[..number].contains(path);
            if self.content(path)? != content || number >= MOST_NAMES || is_again {
                return Err(refused(&first.to_string(), "these names are not those of one file"));
            }
        }
        let longest = self.longest(content);
        if length > longest {
            let why = format!("{length} bytes, such a file has at most {longest}");
            return Err(refused(&first.to_string(), why));
        }
        Ok(())
    }

    /// Whether what a file says is about its content: only then is it worth being read.
    pub fn has_numbers(&self, path: &ArtifactPath) -> bool {
        self.content(path).is_ok_and(|content| content != Content::Picture)
    }

    /// Whether a complete file may be put in place; what a model file says of itself.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_content(
        &self,
        path: &ArtifactPath,
        file: &[u8],
    ) -> Result<Option<CheckpointMetadata>, ServiceError> {
        let checked = match self.content(path)? {
            Content::Model => self.check_model(file).map(Some),
            Content::Resume => self.check_resume(file).map(|()| None),
            Content::Features => self.check_features(file).map(|()| None),
            Content::Picture => Ok(None),
        };
        checked.map_err(|why| refused(&path.to_string(), why))
    }

    fn content(&self, path: &ArtifactPath) -> Result<Content, ServiceError> {
        let known = match path.checkpoint() {
            Some(CheckpointFile::Model(stem)) => self.is_checkpoint(stem).then_some(Content::Model),
            Some(CheckpointFile::Resume(stem)) => {
                self.is_checkpoint(stem).then_some(Content::Resume)
            }
            None => match (path.folder(), path.name().split_once('.')) {
                ("features", Some((stem, "safetensors"))) => {
                    self.is_epoch(stem).then_some(Content::Features)
                }
                ("pictures", Some(("features", "gif"))) => Some(Content::Picture),
                ("pictures", Some((stem, format))) => {
                    let is_ours = self.is_epoch(stem) || ["curves", "confusion"].contains(&stem);
                    let is_drawn = self.formats.iter().any(|known| known.to_string() == format);
                    (is_ours && is_drawn).then_some(Content::Picture)
                }
                _ => None,
            },
        };
        known.ok_or_else(|| {
            ServiceError::Invalid(format!("this run has no artifact of the name `{path}`"))
        })
    }

    fn is_checkpoint(&self, stem: &str) -> bool {
        stem == "last" || stem == "best" || self.is_epoch(stem)
    }

    /// `epoch=K`, as a number is written and not otherwise: 3, but not 03.
    fn is_epoch(&self, stem: &str) -> bool {
        let number = stem.strip_prefix("epoch=");
        let epoch = number.and_then(|number| number.parse::<u64>().ok());
        epoch.is_some_and(|epoch| epoch < self.epochs() && number == Some(&epoch.to_string()))
    }

    /// Most bytes of a file: twice its numbers, and a little.
    fn longest(&self, content: Content) -> u64 {
        let size = self.number_size as u64;
        let sample = self.feature_dim as u64 * size + 2 * labels::width(self.classes) as u64;
        let parameters: usize =
            self.tensors.iter().map(|spec| spec.shape.iter().product::<usize>()).sum();
        let state = parameters as u64 * 8;
        let samples = self.train_samples + self.test_samples;
        match content {
            Content::Model => 2 * state + SPARE,
            // Two moments, and an epoch's record.
            Content::Resume => 2 * (2 * state + self.train_samples * sample) + SPARE,
            Content::Features => 2 * samples * sample + SPARE,
            Content::Picture => {
                PICTURE[0] + samples * PICTURE[1] + (self.epochs() + 1) * PICTURE[2]
            }
        }
    }

    fn check_model(&self, file: &[u8]) -> Result<CheckpointMetadata, String> {
        let metadata = model_file::parse(file)?;
        self.check_position(metadata.epoch, metadata.step_in_epoch, metadata.step)?;
        let tensors = read(file)?;
        if tensors.len() != self.tensors.len() {
            return Err(format!(
                "{} tensors, not the network's {}",
                tensors.len(),
                self.tensors.len()
            ));
        }
        for spec in &self.tensors {
            let tensor = tensors.tensor(&spec.name).map_err(|error| error.to_string())?;
            let dtype = if spec.kind == TensorKind::Counter { Dtype::I64 } else { self.float() };
            check_tensor(&spec.name, &tensor, dtype, &spec.shape)?;
            check_finite(&spec.name, &tensor)?;
        }
        Ok(metadata)
    }

    /// The rest of a state: moments like the parameters, and the epoch's samples so far. A second moment may have
    /// overflowed in a run that goes on; nothing else may.
    fn check_resume(&self, file: &[u8]) -> Result<(), String> {
        let tensors = read(file)?;
        for (name, tensor) in tensors.iter() {
            let rows = tensor.shape().first().copied().unwrap_or(0);
            let moment = name.strip_prefix(FIRST_MOMENT).or(name.strip_prefix(SECOND_MOMENT));
            let spec = moment.and_then(|of| self.tensors.iter().find(|spec| spec.name == of));
            let (dtype, shape) = match (name, spec) {
                (_, Some(spec)) => (self.float(), spec.shape.clone()),
                ("record.features", _) => (self.float(), vec![rows, self.feature_dim]),
                ("record.labels" | "record.predictions", _) => (self.label(), vec![rows]),
                _ => return Err(format!("`{name}` belongs to no state")),
            };
            check_tensor(name, &tensor, dtype, &shape)?;
            if spec.is_none() && rows as u64 > self.train_samples {
                return Err(format!("{name} has {rows} rows, of {} samples", self.train_samples));
            }
            if name.starts_with(SECOND_MOMENT) {
                check_numbers(name, &tensor, |number| !number.is_nan())?;
            } else {
                check_finite(name, &tensor)?;
            }
        }
        Ok(())
    }

    /// Features of all samples. Those of test samples may have overflowed where a run is about to diverge, which its
    /// worker says in its own words.
    fn check_features(&self, file: &[u8]) -> Result<(), String> {
        let tensors = read(file)?;
        for (name, tensor) in tensors.iter() {
            let rows = tensor.shape().first().copied().unwrap_or(0);
            let dim = self.feature_dim;
            let (dtype, shape, most) = match name {
                "train.features" => (self.float(), vec![rows, dim], self.train_samples),
                "test.features" => (self.float(), vec![rows, dim], self.test_samples),
                "train.labels" | "train.predictions" => {
                    (self.label(), vec![rows], self.train_samples)
                }
                "test.labels" | "test.predictions" => (self.label(), vec![rows], self.test_samples),
                "centers" => (self.float(), vec![self.classes, dim], self.classes as u64),
                _ => return Err(format!("`{name}` is no part of a feature file")),
            };
            check_tensor(name, &tensor, dtype, &shape)?;
            if rows as u64 > most {
                return Err(format!("{name} has {rows} rows, of {most} samples"));
            }
            if name == "test.features" {
                check_numbers(name, &tensor, |number| !number.is_nan())?;
            } else {
                check_finite(name, &tensor)?;
            }
        }
        Ok(())
    }

    fn label(&self) -> Dtype {
        if labels::width(self.classes) == 1 { Dtype::U8 } else { Dtype::U16 }
    }

    fn float(&self) -> Dtype {
        if self.number_size == 8 { Dtype::F64 } else { Dtype::F32 }
    }
}

fn read(file: &[u8]) -> Result<SafeTensors<'_>, String> {
    SafeTensors::deserialize(file).map_err(|error| format!("no whole safetensors file: {error}"))
}

fn check_tensor(
    name: &str,
    tensor: &TensorView<'_>,
    dtype: Dtype,
    shape: &[usize],
) -> Result<(), String> {
    if tensor.shape() != shape || tensor.dtype() != dtype {
        let found = (tensor.dtype(), tensor.shape());
        return Err(format!("{name} is {:?} {:?}, not {dtype:?} {shape:?}", found.0, found.1));
    }
    Ok(())
}

fn check_finite(name: &str, tensor: &TensorView<'_>) -> Result<(), String> {
    check_numbers(name, tensor, f64::is_finite)
}

fn check_numbers(
    name: &str,
    tensor: &TensorView<'_>,
    is_good: fn(f64) -> bool,
) -> Result<(), String> {
    let bytes = tensor.data();
    let bad = match tensor.dtype() {
        Dtype::F32 => {
            let numbers = bytes.as_chunks().0.iter().map(|&number| f32::from_le_bytes(number));
            numbers.map(f64::from).find(|number| !is_good(*number))
        }
        Dtype::F64 => {
            let mut numbers = bytes.as_chunks().0.iter().map(|&number| f64::from_le_bytes(number));
            numbers.find(|number| !is_good(*number))
        }
        _ => None,
    };
    bad.map_or(Ok(()), |number| Err(format!("{name} holds a number that is not finite: {number}")))
}
