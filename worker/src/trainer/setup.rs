//! From the coordinator's Start to a trainer that can take its first step, and from its last to what it leaves.

use common::config::{Config, Precision, schedule};
use common::ids::{Epoch, Rank};
use common::plan;
use tch::{Device, Kind};

use super::agreement::Agreement;
use super::connecting::connect;
use super::device_run::{DeviceRun, own_samples};
use super::ending::{Ending, Memory, Outcome, Unprepared};
use super::engine::Engine;
use super::error::{TrainerError, Verdict};
use super::feed::Feed;
use super::origin::Origin;
use super::report::Reporter;
use super::task::Task;
use super::training::Trainer;
use crate::accelerator::recorded::Recorded;
use crate::accelerator::{Accelerator, Sizes};
use crate::bridge::cuda;
use crate::bridge::shared::Shared;
use crate::collective::{Collective, Recordable};
use crate::link::Outbox;
use crate::machine::shard_pool::ShardPool;
use crate::mathematics::batch_terms::Terms;
use crate::mathematics::kernels::Float;
use crate::network::pixels::PixelTable;
use crate::network::shard::Shard;
use crate::network::{ComputeError, Prepared};
use crate::reduction::Reduction;
use crate::state::State;

/// Runs one generation's training, to its end.
pub fn run(task: Task) -> Ending {
    if let Err(error) = enter_device(&task) {
        return Ending { result: Err(error), memory: task.origin.into_memory() };
    }
    match task.config.precision {
        Precision::F32 | Precision::Tf32 | Precision::Bf16 => run_in::<f32>(task),
        Precision::F64 => run_in::<f64>(task),
    }
}

/// Makes the device that of this thread.
pub(super) fn enter(device: Device, precision: Precision) -> Result<(), TrainerError> {
    let Device::Cuda(number) = device else {
        return if precision == Precision::Tf32 { Err(TrainerError::Tf32OnCpu) } else { Ok(()) };
    };
    cuda::configure(precision == Precision::Tf32).map_err(ComputeError::from)?;
    Ok(cuda::enter(number).map_err(ComputeError::from)?)
}

/// Makes the device that of this thread, and says what computes.
fn enter_device(task: &Task) -> Result<(), TrainerError> {
    let precision = task.config.precision;
    enter(task.place.device, precision)?;
    if task.place.device == Device::Cpu {
        return Ok(());
    }
    let tf32 = if precision == Precision::Tf32 { "on" } else { "off" };
    tracing::info!(device = %task.place, %precision, tf32, "computing on a GPU");
    if let Some(reason) = &task.graphs.absent {
        tracing::info!("steps are not recorded as CUDA graphs: {reason}");
    }
    Ok(())
}

/// What convolutions multiply.
pub(super) fn products(precision: Precision) -> Kind {
    match precision {
        Precision::F32 | Precision::Tf32 => Kind::Float,
        Precision::Bf16 => Kind::BFloat16,
        Precision::F64 => Kind::Double,
    }
}

fn run_in<T: Float>(task: Task) -> Ending {
    let mut trainer = match Trainer::<T>::prepare(task) {
        Ok(trainer) => trainer,
        Err((error, memory)) => return Ending { result: Err(error), memory },
    };
    let result = trainer.train().and_then(|outcome| {
        if outcome != Outcome::Paused {
            trainer.leave()?;
        }
        Ok(outcome)
    });
    trainer.go_back();
    if result.as_ref().is_err_and(TrainerError::is_divergence) {
        // The run ends because of the divergence, whatever becomes of the rest.
        if let Err(error) = trainer.store_the_rest() {
            tracing::warn!(%error, "what was on its way to the coordinator may be lost");
        }
    }
    let is_whole = match trainer.recover(&result) {
        Ok(is_whole) => is_whole || matches!(result, Ok(Outcome::Complete | Outcome::Stopped)),
        Err(error) => {
            tracing::warn!(%error, "the device is lost, and the state in its memory with it");
            trainer.engine.reduction.abandon(&error.to_string());
            // libtorch ends the process where memory of a lost device is freed, and this worker has to tell of its end
            // first.
            std::mem::forget(trainer);
            return Ending { result: Err(cause_of_loss(result, error)), memory: None };
        }
    };
    if !is_whole {
        return Ending { result: Err(cause_of_loss(result, TrainerError::Rotted)), memory: None };
    }
    let is_lost = result.as_ref().is_err_and(|error| !error.leaves_the_state_whole());
    let Trainer { state, reporter, agreement, .. } = trainer;
    let identity = agreement.agreed;
    let memory = Memory { state, outbox: reporter.outbox(), identity };
    Ending { result, memory: (!is_lost).then_some(memory) }
}

/// Why a generation ended that has lost its device: what failed first, unless that only followed from the loss.
fn cause_of_loss(result: Result<Outcome, TrainerError>, loss: TrainerError) -> TrainerError {
    match result {
        Err(first) if first.verdict() != Verdict::GenerationBroken => first,
        _ => loss,
    }
}

impl<T: Float> Trainer<T> {
    fn prepare(mut task: Task) -> Result<Self, Unprepared> {
        if let Some(kept) = task.origin.memory()
            && !kept
                .is_unchanged::<T>()
                .map_err(|error| (ComputeError::from(error).into(), None))?
        {
            return Err((TrainerError::Rotted, None));
        }
        task.progress.enter("connecting");
        let mut collective = match connect(&task) {
            Ok(collective) => collective,
            Err(error) => return Err((error, task.origin.into_memory())),
        };
        let origin = std::mem::replace(&mut task.origin, Origin::Seed);
        let data = task.facts.data;
        let memory = origin.restore((&task.config, data, &task.link), &mut *collective, T::KIND)?;
        task.progress.committed(memory.state.position);
        let (outbox, identity) = (memory.outbox.clone(), memory.identity);
        let whole = |state| Memory { state, outbox: outbox.clone(), identity };
        Self::assemble(task, collective, memory.state, (outbox.clone(), identity))
            .map_err(|(error, state)| (error, state.map(whole)))
    }

    fn assemble(
        task: Task,
        collective: Box<dyn Collective>,
        mut state: Box<State>,
        (outbox, identity): (Outbox, Option<u64>),
    ) -> Result<Self, (TrainerError, Option<Box<State>>)> {
        state.proof = task.proof;
        let pool = match pool(&task.config, task.parallel) {
            Ok(pool) => pool,
            Err(error) => return Err((error, Some(state))),
        };
        let products = products(task.config.precision);
        let prepared = Prepared::of(&state.layout, &state.flat, products, task.instructions);
        let parameters = match prepared {
            Ok(parameters) => Shared::new(parameters),
            Err(error) => return Err((error.into(), Some(state))),
        };
        let reporter = match reporter(&task, &state, outbox) {
            Ok(reporter) => reporter,
            Err(error) => return Err((error, Some(state))),
        };
        let agreement = match Agreement::begin::<T>(&state, identity) {
            Ok(agreement) => agreement,
            Err(error) => return Err((error.into(), Some(state))),
        };
        let on_device = match on_device(&task, &state, products, &*collective) {
            Ok(on_device) => on_device,
            Err(error) => return Err((error.into(), Some(state))),
        };
        let Task { config, facts, link, progress, requests, faults, only_store, .. } = task;
        let reduction = Reduction::new(collective, config.shard_count(), config.reduction);
        let checking = (config.cross_check > 0 && reduction.world_size().0 > 1)
            .then(|| (reduction.rank(), reduction.world_size()));
        let own = if on_device.is_some() { 0 } else { reduction.owned().len() };
        // The last one is another rank's.
        let computed = own + usize::from(checking.is_some());
        let shards = (0..computed).map(|_| Shard::new(&state.layout)).collect();
        let data = state.layout.architecture.data;
        Ok(Self {
            total_steps: schedule::total_steps(&config, facts.train_samples),
            feed: Feed::new((link, data), reduction.owned(), checking),
            engine: Engine {
                parameters,
                table: PixelTable::new(&config, data.channels),
                pool,
                shards,
                trace: None,
                reduction,
                terms: Terms::of(&config.loss),
            },
            config,
            facts,
            state,
            agreement,
            reporter,
            progress,
            requests,
            agreed: None,
            faults,
            only_store,
            on_device,
        })
    }

    /// Stores what is on its way. All ranks wait for it, since the first to tell of a failure ends the run on every
    /// side.
    fn store_the_rest(&mut self) -> Result<(), TrainerError> {
        self.reporter.finish()?;
        Ok(self.engine.reduction.leave()?)
    }

    /// Leaves the collective when no rank needs this one any more, then waits until everything is stored and drawn.
    fn leave(&mut self) -> Result<(), TrainerError> {
        self.engine.reduction.leave()?;
        self.progress.committed(self.state.position);
        self.progress.enter("drawing");
        self.reporter.finish()?;
        self.progress.enter("finished");
        Ok(())
    }
}

/// The threads that compute so many logical shards side by side.
pub(super) fn pool(config: &Config, parallel: usize) -> Result<ShardPool, TrainerError> {
    let threads = config.thread_count();
    // The program's own kernels divide their work among the pool's threads.
    let pool = match config.precision.has_own_kernels() {
        true => ShardPool::new(parallel * threads as usize, 1),
        false => ShardPool::new(parallel, threads),
    };
    pool.map_err(|error| TrainerError::Threads(error.to_string()))
}

/// The state on the device, where one computes all of a step.
fn on_device(
    task: &Task,
    state: &State,
    products: Kind,
    collective: &dyn Collective,
) -> Result<Option<DeviceRun>, ComputeError> {
    if !task.place.tensors {
        return Ok(None);
    }
    let shards =
        plan::shards_of(task.config.shard_count(), collective.world_size(), collective.rank());
    let channels = state.layout.architecture.data.channels;
    let table = pixel_table_of(state.flat.kind(), &task.config, channels);
    let place = (task.place.device, products);
    let epoch_samples = task.facts.train_samples;
    let steps = 0..plan::steps_per_epoch(epoch_samples, task.config.batch_size as usize);
    let own_samples = own_samples(&task.config, epoch_samples, steps, &shards);
    let is_compared = collective.world_size().0 > 1 && !task.config.allow_mixed_hardware;
    let sizes = Sizes {
        shards: shards.len(),
        epoch_samples,
        own_samples,
        batch: task.config.batch_size as usize,
        compared: if is_compared { collective.world_size().index() } else { 0 },
    };
    let exchanges = match task.config.loss.terms.is_empty() {
        true => collective.recordable(),
        false if task.graphs.required => return Err(ComputeError::LossCannotBeRecorded),
        false => Recordable::No,
    };
    let recorded = Recorded::new(&task.graphs, task.config.batch_size as usize, exchanges)?;
    Ok(Some(DeviceRun::new(Accelerator::new(state, place, (&sizes, recorded), &table)?)))
}

fn reporter(task: &Task, state: &State, outbox: Outbox) -> Result<Reporter, TrainerError> {
    if task.rank != Rank::FIRST {
        return Ok(Reporter::keeping(outbox));
    }
    // An epoch that the run has ended within is drawn like a complete one.
    let epoch = state.position.epoch;
    let within = state.ended && state.position.step_in_epoch.0 > 0;
    let epochs = Epoch(epoch.0 + u64::from(within));
    let line = (&task.link, &task.config, &task.faults);
    Reporter::sending(outbox, line, (epochs, task.pictures_from))
}

/// Every pixel value as a network of this precision takes it, in 64 bits.
pub(super) fn pixel_table_of(kind: Kind, config: &Config, channels: usize) -> Vec<f64> {
    match kind {
        Kind::Double => PixelTable::<f64>::new(config, channels).numbers(),
        _ => PixelTable::<f32>::new(config, channels).numbers(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::collective::CollectiveError;

    #[test]
    fn a_lost_device_is_not_laid_to_the_others() {
        let lost = || ComputeError::DeviceHangs { after: Duration::from_secs(9) }.into();
        let stalled = CollectiveError::Stalled { after: Duration::from_secs(9) };
        for result in [Ok(Outcome::Paused), Err(stalled.into())] {
            let cause = cause_of_loss(result, lost());
            assert!(cause.to_string().contains("hangs"), "{cause}");
            assert_eq!(cause.verdict(), Verdict::WorkerFailed);
        }
        let cause = cause_of_loss(Err(TrainerError::NoState), lost());
        assert!(matches!(cause, TrainerError::NoState), "{cause}");
    }
}
