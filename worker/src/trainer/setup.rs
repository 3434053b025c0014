//! From the coordinator's Start to a trainer that can take its first step.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use common::config::{Config, Precision, schedule};
use common::ids::{Rank, WorldSize};
use proto::StartFrom;
use tch::Kind;

use super::engine::Engine;
use super::report::Reporter;
use super::{Outcome, Trainer, TrainerError};
use crate::bridge::shared::Shared;
use crate::checkpoint::Checkpoint;
use crate::collective::{AbortHandle, Collective, GlooCollective, Seat, SoloCollective};
use crate::link::Link;
use crate::network::Weights;
use crate::network::kernels::Float;
use crate::network::shard::Shard;
use crate::progress::Progress;
use crate::reduction::Reduction;
use crate::shard_pool::ShardPool;
use crate::state::State;

/// What the coordinator says of the run's data.
#[derive(Clone, Debug)]
pub struct RunFacts {
    /// Training samples in use.
    pub train_samples: usize,
    /// Test samples in use, 0 for no evaluation.
    pub test_samples: usize,
    /// Name of the data set.
    pub dataset: String,
}

/// What a generation's trainer is given.
pub struct Task {
    /// The run's settings.
    pub config: Config,
    /// The run's data.
    pub facts: RunFacts,
    /// Where the state comes from.
    pub start_from: StartFrom,
    /// This process's rank.
    pub rank: Rank,
    /// Ranks of the generation.
    pub world_size: WorldSize,
    /// Host or address at which peers reach this rank.
    pub advertise: String,
    /// Logical shards computed side by side.
    pub parallel: usize,
    /// The line to the coordinator.
    pub link: Link,
    /// Ends the collectives from another thread.
    pub abort: AbortHandle,
    /// Where the trainer tells what it does.
    pub progress: Progress,
    /// Set when the run shall end after the step in flight.
    pub stop: Arc<AtomicBool>,
}

/// Runs one generation's training, to its end.
///
/// # Errors
/// Why it cannot go on.
pub fn run(task: Task) -> Result<Outcome, TrainerError> {
    match task.config.precision {
        Precision::F32 => run_in::<f32>(task),
        Precision::F64 => run_in::<f64>(task),
    }
}

fn run_in<T: Float>(task: Task) -> Result<Outcome, TrainerError> {
    let mut trainer = Trainer::<T>::prepare(task)?;
    let outcome = match trainer.train() {
        Err(error) if error.is_divergence() => {
            // The run ends because of the divergence, whatever becomes of the rest.
            if let Err(error) = trainer.store_the_rest() {
                tracing::warn!(%error, "what was on its way to the coordinator may be lost");
            }
            Err(error)
        }
        outcome => outcome,
    }?;
    trainer.leave()?;
    Ok(outcome)
}

impl<T: Float> Trainer<T> {
    fn prepare(task: Task) -> Result<Self, TrainerError> {
        task.progress.enter("connecting");
        let collective = connect(&task)?;
        let Task { config, facts, link, .. } = task;
        let pool = ShardPool::new(task.parallel, config.thread_count())
            .map_err(|error| TrainerError::Threads(error.to_string()))?;
        let reduction = Reduction::new(collective, config.shard_count(), config.reduction);
        let state = restore(&config, task.start_from, &link, T::KIND)?;
        task.progress.committed(state.position);
        let reporter = match task.rank {
            Rank::FIRST => Some(Reporter::start(&link, &config, state.position.epoch)?),
            _ => None,
        };
        let shards = (reduction.owned()).map(|_| Shard::new(state.layout.bucketed())).collect();
        Ok(Self {
            total_steps: schedule::total_steps(&config, facts.train_samples),
            engine: Engine {
                weights: Shared::new(Weights::of(&state.layout, &state.flat)),
                table: pixel_table(&config),
                pool,
                shards,
                reduction,
            },
            config,
            facts,
            state,
            link,
            reporter,
            progress: task.progress,
            stop: task.stop,
        })
    }

    /// Stores what is on its way. All ranks wait for it, since the first to tell of a failure ends the run on every
    /// side.
    fn store_the_rest(&mut self) -> Result<(), TrainerError> {
        if let Some(reporter) = self.reporter.take() {
            reporter.finish()?;
        }
        Ok(self.engine.reduction.leave()?)
    }

    /// Leaves the collective when no rank needs this one any more, then waits until everything is stored and drawn.
    fn leave(&mut self) -> Result<(), TrainerError> {
        self.engine.reduction.leave()?;
        if let Some(reporter) = self.reporter.take() {
            self.progress.enter("drawing");
            reporter.finish()?;
        }
        self.progress.enter("finished");
        Ok(())
    }
}

fn connect(task: &Task) -> Result<Box<dyn Collective>, TrainerError> {
    if task.world_size == WorldSize(1) {
        return Ok(Box::new(SoloCollective::new(task.abort.clone())));
    }
    let timeout = Duration::from_secs_f64(task.config.collective_timeout);
    let store = Arc::new(task.link.clone());
    let seat = Seat {
        rank: task.rank,
        world_size: task.world_size,
        address: task.advertise.clone(),
        timeout,
    };
    Ok(Box::new(GlooCollective::connect(store, seat, task.abort.clone())?))
}

fn restore(
    config: &Config,
    start_from: StartFrom,
    link: &Link,
    kind: Kind,
) -> Result<State, TrainerError> {
    match start_from {
        StartFrom::Seed => Ok(State::initial(config, kind)),
        StartFrom::Initial => {
            let mut state = State::initial(config, kind);
            state.load_model(&link.get_artifact("initial.safetensors")?)?;
            Ok(state)
        }
        StartFrom::Checkpoint => {
            let checkpoint = Checkpoint {
                model: link.get_artifact("checkpoints/last.safetensors")?,
                resume: link.get_artifact("checkpoints/last.resume.safetensors")?,
            };
            Ok(State::from_checkpoint(&checkpoint, config, kind)?)
        }
    }
}

/// Every pixel value as the network takes it: scaled to 0…1, then normalised.
fn pixel_table<T: Float>(config: &Config) -> Box<[T; 256]> {
    let (mean, deviation) = (T::from_f64(config.pixel_mean), T::from_f64(config.pixel_std));
    let value = |pixel: usize| (T::from_f64(pixel as f64) / T::from_f64(255.0) - mean) / deviation;
    Box::new(std::array::from_fn(value))
}
