//! A state as two files and back.
//!
//! The model file holds what a PyTorch user of the network expects: parameters and buffers under their state-dict
//! names, and `center`. The resume file beside it holds the rest: momenta, position, the epoch's record. The model file
//! names the resume file by its SHA-256, so that the two cannot be mixed up. Neither holds a worker count, rank, time or
//! path: the bytes are a function of the state.
//!
//! The trainer makes one of a state that is to be stored or handed on. This file says which tensors they hold and what
//! the metadata are; how these become bytes is `tensors`' part. Writes no file.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::architecture::{
    BATCHES_TRACKED, CENTER, FIRST_MOMENT, RUNNING_MEAN, RUNNING_VARIANCE, SECOND_MOMENT,
};
use common::computing::Proof;
use common::config::Config;
use common::data_shape::DataShape;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::position::{EpochRecord, Position};
use super::run_state::{State, round};
use super::tensors::{Archive, ArchiveError, Values, sha256};
use crate::mathematics::batch_norm::RunningStatistics;
use crate::mathematics::batch_terms::TermValue;

/// The two files of one state.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// `X.safetensors`.
    pub model: Vec<u8>,
    /// `X.resume.safetensors`.
    pub resume: Vec<u8>,
}

/// Metadata of a model file.
#[derive(Debug, Serialize, Deserialize)]
struct ModelMetadata {
    resume_sha256: String,
    /// Of the bytes of all tensors, so that a damaged file is not trained on.
    tensors_sha256: String,
    #[serde(flatten)]
    position: Position,
}

/// Metadata of a resume file. 64-bit floats survive as JSON at full precision.
#[derive(Debug, Serialize, Deserialize)]
struct ResumeMetadata {
    #[serde(flatten)]
    position: Position,
    optimizer_steps: u64,
    softmax_loss: f64,
    center_loss: f64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    terms: Vec<TermValue>,
    correct: u64,
    best_accuracy: Option<f64>,
    #[serde(default)]
    proof: Option<Proof>,
}

impl Checkpoint {
    /// The files of `state`.
    ///
    /// # Errors
    /// libtorch failed to copy a parameter.
    pub fn of(state: &State) -> Result<Self, ArchiveError> {
        let resume = resume_file(state)?;
        let tensors = model_tensors(state)?;
        let metadata = ModelMetadata {
            resume_sha256: sha256(&resume),
            tensors_sha256: tensors.sha256()?,
            position: state.position,
        };
        Ok(Self { model: tensors.encode(&metadata)?, resume })
    }
}

fn model_tensors(state: &State) -> Result<Archive, ArchiveError> {
    let kind = state.flat.kind();
    let mut archive = Archive::default();
    parameters(&mut archive, "", state, &state.flat)?;
    for (layer, running) in state.layout.architecture.convolutions.iter().zip(&state.running) {
        let channels = vec![layer.outputs];
        archive.add_floats(layer.tensor(RUNNING_MEAN), channels.clone(), &running.mean, kind);
        archive.add_floats(layer.tensor(RUNNING_VARIANCE), channels, &running.variance, kind);
        archive.add_integer(layer.tensor(BATCHES_TRACKED), state.batches_tracked);
    }
    let shape = vec![state.classes(), state.dim()];
    archive.add_floats(CENTER.to_string(), shape, &state.centers, kind);
    Ok(archive)
}

fn resume_file(state: &State) -> Result<Vec<u8>, ArchiveError> {
    let mut archive = Archive::default();
    parameters(&mut archive, FIRST_MOMENT, state, &state.optimizer.first)?;
    if let Some(second) = &state.optimizer.second {
        parameters(&mut archive, SECOND_MOMENT, state, second)?;
    }
    let record = &state.record;
    let samples = record.labels.len();
    let dim = state.dim();
    let kind = state.flat.kind();
    archive.add_floats("record.features".to_string(), vec![samples, dim], &record.features, kind);
    let classes = state.classes();
    archive.add_labels("record.labels".to_string(), &record.labels, classes);
    archive.add_labels("record.predictions".to_string(), &record.predictions, classes);
    archive.encode(&ResumeMetadata {
        position: state.position,
        optimizer_steps: state.optimizer.steps,
        softmax_loss: record.softmax_loss,
        center_loss: record.center_loss,
        terms: record.terms.clone(),
        correct: record.correct,
        best_accuracy: state.best_accuracy,
        proof: state.proof,
    })
}

/// Adds every parameter's part of a flat vector.
fn parameters(
    archive: &mut Archive,
    prefix: &str,
    state: &State,
    flat: &Tensor,
) -> Result<(), ArchiveError> {
    for (index, entry) in state.layout.entries.iter().enumerate() {
        let values = state.layout.view(flat, index).f_contiguous()?.f_view([-1])?;
        let name = format!("{prefix}{}", entry.spec.name);
        archive.add_tensor(name, entry.spec.shape.clone(), &values)?;
    }
    Ok(())
}

impl State {
    /// Takes parameters, statistics and, if they are there, centers from a model file. Nothing else changes.
    ///
    /// # Errors
    /// The file is damaged, or a tensor is missing or has another shape: all such are named.
    pub fn load_model(&mut self, file: &[u8]) -> Result<(), ArchiveError> {
        let (archive, _) = Archive::decode::<serde::de::IgnoredAny>(file)?;
        let specs = self.layout.architecture.tensors(self.dim());
        archive.require(specs.iter().filter(|spec| spec.name != CENTER))?;
        load_parameters(&archive, "", self, &self.flat)?;
        let kind = self.flat.kind();
        let floats = |name: &str| -> Result<Vec<f64>, ArchiveError> {
            Ok(archive.floats(name)?.into_iter().map(|value| round(value, kind)).collect())
        };
        let layers = Arc::clone(&self.layout.architecture.convolutions);
        self.running = (layers.iter())
            .map(|layer| {
                Ok(RunningStatistics {
                    mean: floats(&layer.tensor(RUNNING_MEAN))?,
                    variance: floats(&layer.tensor(RUNNING_VARIANCE))?,
                })
            })
            .collect::<Result<_, ArchiveError>>()?;
        if let Some(layer) = layers.first() {
            self.batches_tracked = archive.integer(&layer.tensor(BATCHES_TRACKED))?;
        }
        if archive.contains(CENTER) {
            archive.require(specs.iter().filter(|spec| spec.name == CENTER))?;
            self.centers = floats(CENTER)?;
        }
        Ok(())
    }

    /// The state that a checkpoint's two files hold.
    ///
    /// # Errors
    /// A file is damaged, of another architecture, or the resume file is not the one the model file names.
    pub fn from_checkpoint(
        checkpoint: &Checkpoint,
        (config, data): (&Config, DataShape),
        kind: Kind,
    ) -> Result<Self, ArchiveError> {
        let mut state = Self::initial(config, data, kind);
        state.load_model(&checkpoint.model)?;
        let (_, model) = Archive::decode::<ModelMetadata>(&checkpoint.model)?;
        if model.map(|model| model.resume_sha256) != Some(sha256(&checkpoint.resume)) {
            return Err(ArchiveError::Mismatch);
        }
        let (archive, metadata) = Archive::decode::<ResumeMetadata>(&checkpoint.resume)?;
        let metadata = metadata.ok_or(ArchiveError::Mismatch)?;
        state.load_resume(&archive, metadata)?;
        Ok(state)
    }

    fn load_resume(
        &mut self,
        archive: &Archive,
        metadata: ResumeMetadata,
    ) -> Result<(), ArchiveError> {
        load_parameters(archive, FIRST_MOMENT, self, &self.optimizer.first)?;
        if let Some(second) = &self.optimizer.second {
            load_parameters(archive, SECOND_MOMENT, self, second)?;
        }
        self.optimizer.steps = metadata.optimizer_steps;
        self.position = metadata.position;
        self.best_accuracy = metadata.best_accuracy;
        self.proof = metadata.proof;
        self.record = EpochRecord {
            softmax_loss: metadata.softmax_loss,
            center_loss: metadata.center_loss,
            terms: metadata.terms,
            correct: metadata.correct,
            features: archive.floats("record.features")?,
            labels: archive.labels("record.labels", self.classes())?,
            predictions: archive.labels("record.predictions", self.classes())?,
        };
        Ok(())
    }
}

fn load_parameters(
    archive: &Archive,
    prefix: &str,
    state: &State,
    flat: &Tensor,
) -> Result<(), ArchiveError> {
    for (index, entry) in state.layout.entries.iter().enumerate() {
        let values = archive.floats(&format!("{prefix}{}", entry.spec.name))?;
        let shape: Vec<i64> = entry.spec.shape.iter().map(|&size| size as i64).collect();
        let values = Tensor::from_slice(&values).f_view(&shape[..])?;
        state.layout.view(flat, index).f_copy_(&values)?;
    }
    Ok(())
}

/// Tensors of an archive by name, for tests and tools.
pub fn read_model(file: &[u8]) -> Result<BTreeMap<String, Values>, ArchiveError> {
    Ok(Archive::decode::<serde::de::IgnoredAny>(file)?.0.into_tensors())
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;
    use crate::mathematics::optimizer::Vectors;
    use common::ids::{Epoch, Step};

    fn config(flags: &[&str]) -> Config {
        let command = Config::augment_args(Command::new("worker"));
        Config::from_arg_matches(&command.get_matches_from([&["worker"], flags].concat())).unwrap()
    }

    fn used_state(config: &Config, kind: Kind) -> State {
        let mut state = State::initial(config, DataShape::MNIST, kind);
        let gradient = Tensor::randn_like(&state.flat);
        let mut spare = Vectors::like(&state.flat, &state.optimizer);
        let State { optimizer, flat, .. } = &mut state;
        let rate = (config, 0.1);
        match kind {
            Kind::Double => optimizer.step::<f64>(flat, &gradient, rate, &mut spare).unwrap(),
            _ => optimizer.step::<f32>(flat, &gradient, rate, &mut spare).unwrap(),
        };
        state.running[2].mean[5] = round(0.1, kind);
        state.batches_tracked = 9;
        state.best_accuracy = Some(0.1 + 0.2);
        state.position = Position { epoch: Epoch(1), step_in_epoch: Step(2), step: Step(9) };
        state.record = EpochRecord {
            softmax_loss: 1.0 / 3.0,
            center_loss: 0.7,
            terms: vec![TermValue { loss: 2.0 / 3.0, anchors: 5 }],
            correct: 1,
            features: vec![0.5, -1.5, 2.0, 0.25],
            labels: vec![3, 4],
            predictions: vec![3, 9],
        };
        state
    }

    #[test]
    fn a_checkpoint_is_the_state() {
        for (flags, kind) in [(&[][..], Kind::Float), (&["--optimizer", "adam"], Kind::Double)] {
            let config = config(flags);
            let checkpoint = Checkpoint::of(&used_state(&config, kind)).unwrap();
            let state =
                State::from_checkpoint(&checkpoint, (&config, DataShape::MNIST), kind).unwrap();
            assert_eq!(Checkpoint::of(&state).unwrap(), checkpoint);
            assert_eq!(state.position.step, Step(9));
        }
    }

    #[test]
    fn the_model_file_has_the_names_of_the_state_dict() {
        let state = State::initial(&config(&[]), DataShape::MNIST, Kind::Float);
        let model = read_model(&Checkpoint::of(&state).unwrap().model).unwrap();
        let specs = state.layout.architecture.tensors(2);
        let expected: Vec<String> = specs.into_iter().map(|spec| spec.name).collect();
        assert_eq!(model.len(), 47);
        assert!(expected.iter().all(|name| model.contains_key(name)));
    }

    #[test]
    fn mixed_up_files_and_other_architectures_are_refused() {
        let defaults = config(&[]);
        let mut checkpoint = Checkpoint::of(&used_state(&defaults, Kind::Float)).unwrap();
        let wide = config(&["--feature-dim", "3"]);
        let error = State::from_checkpoint(&checkpoint, (&wide, DataShape::MNIST), Kind::Float)
            .unwrap_err()
            .to_string();
        assert!(error.contains("features.weight is [2, 1152], expected [3, 1152]"), "{error}");
        checkpoint.resume =
            Checkpoint::of(&State::initial(&defaults, DataShape::MNIST, Kind::Float))
                .unwrap()
                .resume;
        let error = State::from_checkpoint(&checkpoint, (&defaults, DataShape::MNIST), Kind::Float)
            .unwrap_err();
        assert!(matches!(error, ArchiveError::Mismatch));
        checkpoint.model.truncate(1000);
        assert!(
            State::from_checkpoint(&checkpoint, (&defaults, DataShape::MNIST), Kind::Float)
                .is_err()
        );
    }
}
