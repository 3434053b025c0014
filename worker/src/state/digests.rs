//! What each tensor of a state has come to, to the bit.

use common::architecture::TensorKind;

use super::run_state::State;
use crate::bridge::{BridgeError, with_slice};
use crate::mathematics::kernels::Float;
use crate::mathematics::kernels::digest::digest;

impl State {
    /// Of each tensor that a checkpoint holds, in the order of `common::digests::names`; the epoch's record is none of them.
    ///
    /// # Errors
    /// The parameters are not of this precision, or not in this machine's memory.
    pub fn digests<T: Float>(&self) -> Result<Vec<u64>, BridgeError> {
        let layout = &self.layout;
        let specs = layout.architecture.tensors(self.dim());
        let of_vector = |flat: &tch::Tensor| {
            with_slice(flat, |flat: &[T]| {
                let ranges = (0..layout.entries.len()).map(|entry| layout.range(entry));
                ranges.map(|range| digest(&flat[range])).collect::<Vec<_>>()
            })
        };
        let mut parameters = of_vector(&self.flat)?.into_iter();
        let mut statistics =
            self.running.iter().flat_map(|running| [&running.mean, &running.variance]);
        let mut digests = Vec::with_capacity(3 * specs.len());
        for spec in &specs {
            digests.push(match spec.kind {
                TensorKind::Parameter => parameters.next().expect("the layout has every parameter"),
                TensorKind::Statistic => {
                    digest(statistics.next().expect("every layer has both statistics"))
                }
                TensorKind::Counter => digest(&[self.batches_tracked as f64]),
                TensorKind::Center => digest(&self.centers),
            });
        }
        for moment in self.optimizer.moments() {
            digests.extend(of_vector(moment)?);
        }
        Ok(digests)
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};
    use common::config::Config;
    use common::data_shape::DataShape;
    use common::digests::names;
    use tch::Kind;

    use super::*;

    fn config(flags: &[&str]) -> Config {
        let command = Config::augment_args(Command::new("worker"));
        Config::from_arg_matches(&command.get_matches_from([&["worker"], flags].concat())).unwrap()
    }

    fn named(config: &Config, state: &State) -> Vec<(String, u64)> {
        names(config, DataShape::MNIST).into_iter().zip(state.digests::<f32>().unwrap()).collect()
    }

    #[test]
    fn a_change_shows_under_its_name() {
        for flags in [&[][..], &["--optimizer", "adam"], &["--network", "mlp"]] {
            let config = config(flags);
            let mut state = State::initial(&config, DataShape::MNIST, Kind::Float);
            let before = named(&config, &state);
            assert_eq!(before.len(), names(&config, DataShape::MNIST).len(), "{flags:?}");
            assert_eq!(state.digests::<f32>().unwrap().len(), before.len(), "{flags:?}");
            let _ = state.layout.view(&state.flat, 3).fill_(0.123);
            state.centers[4] += 1.0;
            let place = state.layout.entries[1].offset as i64;
            let _ = state.optimizer.first.narrow(0, place, 1).fill_(5.0);
            let after = named(&config, &state);
            let changed: Vec<&str> = (before.iter().zip(&after))
                .filter(|(before, after)| before != after)
                .map(|((name, _), _)| name.as_str())
                .collect();
            let name = |entry: usize| state.layout.entries[entry].spec.name.clone();
            let momentum = format!("momentum.{}", name(1));
            assert_eq!(changed, [&name(3), "center", &momentum], "{flags:?}");
        }
    }
}
