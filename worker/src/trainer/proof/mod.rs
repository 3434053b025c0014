//! What this worker computes, proved: two steps and an evaluation of logical shards that have the run's sizes as far as
//! these matter, from a seed of their own, with exactly the kernels that the run will use. The digest of the bits tells
//! workers apart whose results would differ, whatever the reason: names of processors and versions of libraries do not tell
//! of an environment variable that chooses other kernels.
//!
//! The session asks for it before it joins. Nothing here speaks to anybody, or depends on settings that a resumed run may
//! change.
//!
//! - `cases`: which shards are computed, and of which samples (pure);
//! - `on_cpu`, `on_device`: the computation, as `step` and `on_device` have it in a run;
//! - `transcript`: the bits of what comes of it.

mod cases;
mod on_cpu;
mod on_device;
mod transcript;

use common::KERNEL_VERSION;
use common::computing::Proof;
use common::config::{Config, Precision};
use common::data_shape::DataShape;
use engine::Instructions;

use super::error::TrainerError;
use super::setup::{enter, pool};
use crate::machine::device::Place;
use cases::Kernels;
use transcript::Transcript;

/// What is to be computed.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The run's settings.
    pub config: Config,
    /// Its images and classes.
    pub data: DataShape,
    /// Training samples in use.
    pub train_samples: usize,
    /// Test samples in use, 0 for no evaluation.
    pub test_samples: usize,
}

/// What it is computed with.
#[derive(Clone, Copy, Debug)]
pub struct Means {
    /// Where and how.
    pub place: Place,
    /// What a CPU computes with.
    pub instructions: Instructions,
}

/// Steps of the small computation: in the second one momenta and statistics are others than in the beginning.
const STEPS: usize = 2;
/// Their learning rate.
const LEARNING_RATE: f64 = 0.01;

/// Computes a small part of the run, on a thread that belongs to no pool.
///
/// # Errors
/// A kernel or the device failed, or the precision is not one of the device.
pub fn prove(terms: &Terms, means: Means) -> Result<Proof, TrainerError> {
    let precision = terms.config.precision;
    enter(means.place.device, precision)?;
    let mut transcript = Transcript::default();
    let kernels = match precision.has_own_kernels() && !means.place.tensors {
        true => Kernels::Own,
        false => Kernels::Libtorch,
    };
    if kernels == Kernels::Own {
        // Whatever a change of theirs leaves as it was, workers of two versions do not compute together.
        transcript.numbers([f64::from(KERNEL_VERSION)]);
    }
    let mut pool = pool(&terms.config, 1)?;
    for case in cases::of(terms, kernels) {
        let own = (pool, means.instructions);
        pool = match (means.place.tensors, precision) {
            (true, _) => {
                on_device::run(&case, means.place.device, &mut transcript)?;
                own.0
            }
            (false, Precision::F64) => on_cpu::run::<f64>(&case, own, &mut transcript)?,
            (false, Precision::F32 | Precision::Tf32 | Precision::Bf16) => {
                on_cpu::run::<f32>(&case, own, &mut transcript)?
            }
        };
    }
    Ok(transcript.proof())
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};
    use tch::Device;

    use super::*;

    /// The defaults.
    pub fn settings() -> Config {
        let command = Config::augment_args(Command::new("worker"));
        Config::from_arg_matches(&command.get_matches_from(["worker"])).unwrap()
    }

    fn terms(change: impl FnOnce(&mut Config)) -> Terms {
        let mut config = settings();
        (config.batch_size, config.logical_shards) = (10, Some(4));
        change(&mut config);
        Terms { config, data: DataShape::MNIST, train_samples: 57, test_samples: 11 }
    }

    /// On a thread of its own, as a pool takes its thread for good.
    fn proved(terms: Terms, tensors: bool, instructions: Instructions) -> Proof {
        let place = Place { device: Device::Cpu, tensors };
        let prove = move || prove(&terms, Means { place, instructions }).unwrap();
        std::thread::spawn(prove).join().unwrap()
    }

    fn computes(change: impl FnOnce(&mut Config)) -> Proof {
        proved(terms(change), false, Instructions::detect())
    }

    #[test]
    fn own_kernels_compute_alike_with_any_instructions_and_threads() {
        let expected = computes(|_| {});
        for instructions in Instructions::available() {
            assert_eq!(proved(terms(|_| {}), false, instructions), expected, "{instructions}");
        }
        assert_eq!(computes(|config| config.threads = Some(3)), expected);
    }

    #[test]
    fn what_a_resumed_run_may_change_changes_nothing() {
        let expected = computes(|_| {});
        let changed = computes(|config| {
            (config.epochs, config.max_steps, config.workers) = (99, Some(5), 3);
            config.checkpoint_every = 1;
        });
        assert_eq!(changed, expected);
    }

    #[test]
    fn every_way_to_compute_is_told_from_the_others() {
        let instructions = Instructions::detect();
        let mut proofs = vec![
            computes(|_| {}),
            computes(|config| config.precision = Precision::F64),
            computes(|config| config.precision = Precision::Bf16),
            computes(|config| config.optimizer = common::config::Optimizer::Adam),
            computes(|config| config.network = common::config::Network::Mlp),
            proved(terms(|_| {}), true, instructions),
        ];
        assert_eq!(
            proved(terms(|_| {}), true, instructions),
            proofs[5],
            "it is the same each time"
        );
        let count = proofs.len();
        proofs.sort_unstable_by_key(ToString::to_string);
        proofs.dedup();
        assert_eq!(proofs.len(), count);
    }

    #[test]
    fn tf32_cannot_be_proved_on_a_cpu() {
        let terms = terms(|config| config.precision = Precision::Tf32);
        let means = Means {
            place: Place { device: Device::Cpu, tensors: false },
            instructions: Instructions::detect(),
        };
        assert!(matches!(prove(&terms, means), Err(TrainerError::Tf32OnCpu)));
    }
}
