//! One number for everything that every rank computes alike, to the bit.

use super::position::EpochRecord;
use super::run_state::State;
use crate::bridge::{BridgeError, with_slice};
use crate::mathematics::kernels::Float;
use crate::mathematics::kernels::digest::{Digest, digest};

/// Makes it of one state after the other. What an epoch's record already held is not looked at again.
#[derive(Debug, Default)]
pub struct Identity {
    samples: usize,
    /// Of the record's features, labels and predictions.
    record: (Digest, Digest, Digest),
}

impl Identity {
    /// That of `state`, whose vectors have these digests.
    pub fn of(&mut self, state: &State, vectors: &[u64]) -> u64 {
        self.follow(&state.record, state.dim());
        let mut whole = Digest::default();
        whole.extend(vectors);
        for running in &state.running {
            whole.extend(&running.mean);
            whole.extend(&running.variance);
        }
        whole.extend(&state.centers);
        let (features, labels, predictions) = self.record;
        whole.extend(&[features.value(), labels.value(), predictions.value()]);
        extend_by_counts(&mut whole, state);
        whole.value()
    }

    /// That of what a step changes of `state` wherever its vectors are: sums, counts and its position.
    pub fn of_counts(state: &State) -> u64 {
        let mut whole = Digest::default();
        extend_by_counts(&mut whole, state);
        whole.value()
    }

    /// That of `state`, all of it read anew.
    ///
    /// # Errors
    /// The parameters are not of this precision, or not in this machine's memory.
    pub fn of_memory<T: Float>(&mut self, state: &State) -> Result<u64, BridgeError> {
        *self = Self::default();
        let vectors = std::iter::once(&state.flat).chain(state.optimizer.moments());
        let digests = vectors.map(|vector| with_slice(vector, digest::<T>));
        let digests: Vec<u64> = digests.collect::<Result<_, _>>()?;
        Ok(self.of(state, &digests))
    }

    /// What the record has gained.
    fn follow(&mut self, record: &EpochRecord, dim: usize) {
        if record.labels.len() < self.samples {
            *self = Self::default();
        }
        let (features, labels, predictions) = &mut self.record;
        features.extend(&record.features[self.samples * dim..]);
        labels.extend(&record.labels[self.samples..]);
        predictions.extend(&record.predictions[self.samples..]);
        self.samples = record.labels.len();
    }
}

fn extend_by_counts(whole: &mut Digest, state: &State) {
    let record = &state.record;
    whole.extend(&[record.softmax_loss, record.center_loss]);
    for term in &record.terms {
        whole.extend(&[term.loss]);
        whole.extend(&[term.anchors]);
    }
    // No file tells of batches where there is no statistic that counts them.
    let batches = if state.running.is_empty() { 0 } else { state.batches_tracked };
    // What has no best accuracy yet has none that is a number.
    whole.extend(&[state.best_accuracy.unwrap_or(f64::NAN)]);
    whole.extend(&[
        record.correct,
        batches.cast_unsigned(),
        state.optimizer.steps,
        state.position.epoch.0,
        state.position.step_in_epoch.0,
        state.position.step.0,
        u64::from(state.ended),
    ]);
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};
    use common::config::Config;
    use common::data_shape::DataShape;
    use tch::Kind;

    use super::*;
    use crate::mathematics::batch_terms::TermValue;
    use crate::state::Checkpoint;

    fn state() -> State {
        let command = Config::augment_args(Command::new("worker"));
        let matches = command.get_matches_from(["worker", "--optimizer", "adam"]);
        let config = Config::from_arg_matches(&matches).unwrap();
        let mut state = State::initial(&config, DataShape::MNIST, Kind::Float);
        state.record.features = vec![0.5, -0.5];
        (state.record.labels, state.record.predictions) = (vec![7], vec![3]);
        state
    }

    fn of(state: &State) -> u64 {
        Identity::default().of_memory::<f32>(state).unwrap()
    }

    #[test]
    fn whatever_a_step_changes_shows() {
        let expected = of(&state());
        assert_eq!(of(&state()), expected);
        let changes: [fn(&mut State); 16] = [
            |state| drop(state.flat.narrow(0, 999, 1).fill_(0.125)),
            |state| drop(state.optimizer.first.narrow(0, 999, 1).fill_(0.125)),
            |state| drop(state.optimizer.second.as_ref().unwrap().narrow(0, 9, 1).fill_(0.125)),
            |state| state.running[2].variance[3] = 2.0,
            |state| state.centers[1] = 2.0,
            |state| state.record.features[1] = 0.5,
            |state| state.record.labels[0] = 8,
            |state| state.record.predictions[0] = 4,
            |state| state.record.center_loss = 1.0,
            |state| state.record.terms = vec![TermValue { loss: 1.0, anchors: 0 }],
            |state| state.record.terms = vec![TermValue { loss: 0.0, anchors: 1 }],
            |state| state.record.correct = 1,
            |state| state.batches_tracked = 1,
            |state| state.optimizer.steps = 1,
            |state| state.position.step.0 = 1,
            |state| state.best_accuracy = Some(0.0),
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut state = state();
            change(&mut state);
            assert_ne!(of(&state), expected, "change {number}");
        }
    }

    #[test]
    fn who_is_given_the_state_has_the_same() {
        for flags in [&[][..], &["--network", "mlp"], &["--optimizer", "adam"]] {
            let command = Config::augment_args(Command::new("worker"));
            let matches = command.get_matches_from([&["worker"], flags].concat());
            let config = Config::from_arg_matches(&matches).unwrap();
            let mut state = State::initial(&config, DataShape::MNIST, Kind::Float);
            state.batches_tracked = 3;
            state.best_accuracy = Some(0.1 + 0.2);
            state.record.softmax_loss = 1.0 / 3.0;
            let files = Checkpoint::of(&state).unwrap();
            let given =
                State::from_checkpoint(&files, (&config, DataShape::MNIST), Kind::Float).unwrap();
            assert_eq!(of(&given), of(&state), "{flags:?}");
        }
    }

    #[test]
    fn a_record_that_grows_needs_no_second_look() {
        let mut state = state();
        let mut identity = Identity::default();
        identity.of_memory::<f32>(&state).unwrap();
        let vectors: Vec<u64> = (std::iter::once(&state.flat).chain(state.optimizer.moments()))
            .map(|vector| with_slice(vector, digest::<f32>).unwrap())
            .collect();
        state.record.features.extend([1.0, 2.0]);
        state.record.labels.push(1);
        state.record.predictions.push(2);
        assert_eq!(identity.of(&state, &vectors), of(&state));
        // Another epoch.
        state.record = EpochRecord::default();
        assert_eq!(identity.of(&state, &vectors), of(&state));
    }
}
