//! Puts the parts of a run together: what the handlers share, the rules of membership, the workers on this machine.
//!
//! `run` calls it once, when everything is prepared.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use common::config::Config;
use common::ids::Slot;
use proto::{Start, Welcome};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::prepare::Prepared;
use super::spawn::{SpawnPlan, WorkerExit, Workers, living_worker};
use crate::clock::Clock;
use crate::cluster::books::{Books, Shape};
use crate::cluster::membership::{Event, HardwareRule, Past, Rules, Spawning, Timing};
use crate::cluster::{Cluster, Parts};
use crate::data::samples::SampleServer;
use crate::door::places::Places;
use crate::run_directory::ledger::Summary;
use crate::service::Shared;
use crate::service::artifacts::UPLOADS;
use crate::service::board::Board;
use crate::service::intake::Intake;
use crate::service::intake::joins::Joins;

/// Adopts the workers that live and starts the others.
///
/// # Errors
/// A worker cannot be started.
pub fn begin_spawning(
    plan: SpawnPlan,
    count: u32,
    processes: &BTreeMap<Slot, u32>,
    exits: mpsc::UnboundedSender<WorkerExit>,
) -> Result<Workers> {
    let logs = plan.logs.clone();
    let mut workers = Workers::new(plan, exits)?;
    let adopted: Vec<Slot> = (processes.iter())
        .filter(|(slot, process)| workers.adopt(**slot, **process))
        .map(|(slot, _)| *slot)
        .collect();
    for slot in (0..count).map(Slot).filter(|slot| !adopted.contains(slot)) {
        workers.start(slot)?;
    }
    tracing::info!(workers = count, logs = %logs.display(), "workers started");
    Ok(workers)
}

/// What the handlers share. `timing` counts for the waits that no setting is about; `spawns` hears of slots that a worker
/// is to be started for.
pub fn share(
    prepared: Prepared,
    clock: Clock,
    timing: Timing,
    spawns: mpsc::UnboundedSender<(Slot, Duration)>,
) -> Shared {
    let Prepared {
        config,
        directory,
        data,
        beginning,
        initial_state,
        record,
        checkpoint,
        mut history,
        run,
        completion,
    } = prepared;
    if config.spawn {
        // All of them were on this machine, so it is known who lives.
        let Summary { survivors, processes, .. } = &mut history;
        survivors.retain(|slot| {
            processes.get(slot).is_some_and(|process| living_worker(*slot, *process).is_some())
        });
    }
    let start = Start {
        config: config.to_toml(),
        train_samples: data.identity.train_samples,
        test_samples: data.identity.test_samples,
        dataset: data.identity.dataset.clone(),
        data: Some(data.identity.message()),
        run: run.clone(),
        ..Start::default()
    };
    let milliseconds = |seconds: f64| (1e3 * seconds).ceil() as u64;
    let shape = Shape::new(&config, data.identity.train_samples);
    let books = Books::new(Arc::clone(&directory), beginning, shape, &history);
    let intake = Intake::new(&config, &data.identity, record.first_step.max(history.done));
    let cluster = Cluster::new(Parts {
        rules: rules(&config, run.clone(), timing),
        past: Past {
            generation: history.generation,
            survivors: history.survivors,
            computing: history.computing.map(Arc::new),
        },
        welcome: Welcome {
            heartbeat_interval_ms: milliseconds(config.heartbeat_interval),
            heartbeat_timeout_ms: milliseconds(config.heartbeat_timeout),
            slot: 0,
        },
        start,
        books,
        clock,
        spawns,
    });
    if let Some(description) = checkpoint {
        cluster.apply(Event::CheckpointStored { description, step: record.first_step });
    }
    Shared {
        cluster: Arc::new(cluster),
        samples: SampleServer::new(Arc::clone(&data), &config),
        run,
        was_complete: completion.is_some(),
        data: data.identity.clone(),
        intake,
        joins: Joins::new(config.most_workers()),
        uploads: Places::of(UPLOADS),
        config,
        directory,
        board: Arc::new(Board::new(record)),
        initial_state,
        tasks: TaskTracker::new(),
        cancel: CancellationToken::new(),
    }
}

fn rules(config: &Config, run: String, timing: Timing) -> Rules {
    let seconds = Duration::from_secs_f64;
    Rules {
        run,
        workers: config.workers,
        min_workers: config.least_workers(),
        max_workers: config.most_workers(),
        logical_shards: config.shard_count() as u32,
        max_generations: config.max_generations,
        spawning: if config.spawn { Spawning::Spawned } else { Spawning::ByHand },
        hardware: match config.allow_mixed_hardware {
            true => HardwareRule::Mixed,
            false => HardwareRule::Alike,
        },
        timing: Timing {
            heartbeat_timeout: seconds(config.heartbeat_timeout),
            pause_timeout: seconds(config.collective_timeout),
            rejoin_timeout: seconds(config.rejoin_timeout),
            ..timing
        },
    }
}
