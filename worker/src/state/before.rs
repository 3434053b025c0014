//! What a state was before it changed, to go back to. Of what only grows it knows how long it was; the vectors of the
//! parameters it keeps where the next step writes.

use common::ids::Epoch;

use super::position::{EpochRecord, Position};
use super::run_state::State;
use crate::mathematics::batch_norm::RunningStatistics;
use crate::mathematics::batch_terms::TermValue;
use crate::mathematics::optimizer::Vectors;

/// A state but for its vectors, as it was.
#[derive(Debug)]
pub struct Before {
    optimizer_steps: u64,
    running: Vec<RunningStatistics>,
    batches_tracked: i64,
    centers: Vec<f64>,
    position: Position,
    record: RecordBefore,
    best_accuracy: Option<f64>,
    ended: bool,
}

/// The epoch's record, as it was.
#[derive(Debug)]
enum RecordBefore {
    /// It has only grown since: its sums, and how many samples it had.
    Grown { losses: [f64; 2], terms: Vec<TermValue>, correct: u64, samples: usize },
    /// Another has begun since.
    Whole(EpochRecord),
}

impl Before {
    /// That of `state`, whose epoch's record only grows from here on.
    pub fn of(state: &State) -> Self {
        let record = &state.record;
        Self {
            optimizer_steps: state.optimizer.steps,
            running: state.running.clone(),
            batches_tracked: state.batches_tracked,
            centers: state.centers.clone(),
            position: state.position,
            record: RecordBefore::Grown {
                losses: [record.softmax_loss, record.center_loss],
                terms: record.terms.clone(),
                correct: record.correct,
                samples: record.labels.len(),
            },
            best_accuracy: state.best_accuracy,
            ended: state.ended,
        }
    }

    /// The epoch that it was in.
    pub fn epoch(&self) -> Epoch {
        self.position.epoch
    }

    /// The epoch's record is put away: the state begins another.
    pub fn keep_record(&mut self, record: EpochRecord) {
        self.record = RecordBefore::Whole(record);
    }

    /// Makes `state` what it was. Where its vectors have changed, too, `vectors` are the old ones; they are the new ones
    /// afterwards.
    pub fn restore(self, state: &mut State, vectors: Option<&mut Vectors>) {
        if let Some(vectors) = vectors {
            state.optimizer.exchange(&mut state.flat, vectors);
        }
        state.optimizer.steps = self.optimizer_steps;
        state.running = self.running;
        state.batches_tracked = self.batches_tracked;
        state.centers = self.centers;
        state.position = self.position;
        state.best_accuracy = self.best_accuracy;
        state.ended = self.ended;
        match self.record {
            RecordBefore::Whole(record) => state.record = record,
            RecordBefore::Grown { losses, terms, correct, samples } => {
                let dim = state.dim();
                let record = &mut state.record;
                record.features.truncate(samples * dim);
                record.labels.truncate(samples);
                record.predictions.truncate(samples);
                [record.softmax_loss, record.center_loss] = losses;
                record.terms = terms;
                record.correct = correct;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};
    use common::config::Config;
    use common::data_shape::DataShape;
    use common::ids::{Epoch, Step};
    use tch::{Kind, Tensor};

    use super::*;
    use crate::mathematics::batch_terms::add_step;
    use crate::state::Checkpoint;

    fn changed(state: &mut State, config: &Config, spare: &mut Vectors) {
        let gradient = Tensor::ones_like(&state.flat);
        let State { optimizer, flat, .. } = state;
        optimizer.step::<f32>(flat, &gradient, (config, 0.5), spare).unwrap();
        state.running[1].mean[0] += 1.0;
        state.batches_tracked += 1;
        state.centers[3] += 1.0;
        state.record.softmax_loss += 0.5;
        state.record.center_loss += 0.25;
        add_step(&mut state.record.terms, &[TermValue { loss: 0.25, anchors: 3 }], 4);
        state.record.correct += 1;
        state.record.features.extend([1.0, 2.0]);
        state.record.labels.push(3);
        state.record.predictions.push(4);
        let Position { epoch, step_in_epoch, step } = state.position;
        state.position =
            Position { epoch, step_in_epoch: Step(step_in_epoch.0 + 1), step: Step(step.0 + 1) };
    }

    #[test]
    fn a_step_and_an_epochs_end_can_be_undone() {
        for optimizer in ["sgd", "adam"] {
            let command = Config::augment_args(Command::new("worker"));
            let matches = command.get_matches_from(["worker", "--optimizer", optimizer]);
            let config = Config::from_arg_matches(&matches).unwrap();
            let mut state = State::initial(&config, DataShape::MNIST, Kind::Float);
            let mut spare = Vectors::like(&state.flat, &state.optimizer);
            changed(&mut state, &config, &mut spare);
            let files = Checkpoint::of(&state).unwrap();

            let before = Before::of(&state);
            changed(&mut state, &config, &mut spare);
            assert_ne!(Checkpoint::of(&state).unwrap(), files);
            before.restore(&mut state, Some(&mut spare));
            assert_eq!(Checkpoint::of(&state).unwrap(), files);

            let mut before = Before::of(&state);
            before.keep_record(std::mem::take(&mut state.record));
            state.best_accuracy = Some(0.5);
            state.position = Position { epoch: Epoch(1), step_in_epoch: Step(0), step: Step(1) };
            assert_ne!(Checkpoint::of(&state).unwrap(), files);
            before.restore(&mut state, None);
            assert_eq!(Checkpoint::of(&state).unwrap(), files);
        }
    }
}
