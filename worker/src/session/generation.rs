//! The trainer thread of one generation, seen from the session.

use std::time::Duration;

use anyhow::{Context, anyhow};
use common::config::Config;
use common::ids::{Epoch, Generation, Rank, WorldSize};
use common::wire;
use proto::{Start, StartFrom};
use tch::Device;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::joining::Post;
use super::kept::Kept;
use crate::collective::AbortHandle;
use crate::fault::Faults;
use crate::link::{Client, Link};
use crate::machine::cpus::allotment::Allotment;
use crate::machine::cpus::{Binding, LocalPlace};
use crate::trainer::{
    self, Ending, Memory, Origin, Progress, Request, Requests, Roles, RunFacts, Task, TrainerError,
};

/// How long a trainer that was told to end at once may take.
pub const TRAINER_END: Duration = Duration::from_secs(5);

/// A generation that this worker is a member of.
pub struct RunningGeneration {
    /// The run's identity.
    pub run: String,
    /// Its number.
    pub number: Generation,
    ending: oneshot::Receiver<Ending>,
    requests: Requests,
    abort: AbortHandle,
    ended: CancellationToken,
}

impl RunningGeneration {
    /// Starts the trainer thread. Of what is `kept` only the state is used that the coordinator counts on.
    ///
    /// # Errors
    /// The order cannot be understood, or the system gives no thread.
    pub fn start(
        start: Start,
        (post, client, progress): (&Post, &Client, &Progress),
        kept: Option<Kept>,
    ) -> anyhow::Result<Self> {
        let config = Config::from_toml(&start.config)
            .map_err(|error| anyhow!("the coordinator's configuration cannot be read: {error}"))?;
        let (data, class_names) = wire::data_of(start.data.as_ref()).map_err(|why| anyhow!(why))?;
        let number = Generation(start.generation);
        let (requests, abort) = (Requests::default(), AbortHandle::new());
        let ended = CancellationToken::new();
        let link = Link::new(Handle::current(), client.clone(), number, ended.clone());
        let threads = config.thread_count() as usize;
        let local = LocalPlace::new(start.local_rank, start.local_world_size);
        let allotment = Allotment::of_this_process();
        let parallel = post.parallel.unwrap_or_else(|| local.parallel(allotment.cores, threads));
        let parallel = match config.precision.has_own_kernels() {
            true => parallel,
            false => parallel.min(config.shard_count()),
        };
        let computing = if post.place.device == Device::Cpu { parallel * threads } else { 0 };
        let binding = Binding { choice: post.cpu_bind, allotment, place: local, computing };
        progress.begin();
        let task = Task {
            facts: RunFacts {
                train_samples: start.train_samples as usize,
                test_samples: start.test_samples as usize,
                dataset: start.dataset.clone(),
                data,
                class_names: class_names.into(),
            },
            origin: origin(&start, kept),
            pictures_from: Epoch(start.pictures_from),
            rank: Rank(start.rank),
            world_size: WorldSize(start.world_size),
            address: match start.address.as_str() {
                "" => post.advertise.clone(),
                reached => reached.to_string(),
            },
            only_store: start.only_store,
            // What is no proof is none to be kept.
            proof: start.proof.parse().ok(),
            place: post.place,
            graphs: post.graphs.clone(),
            collective: post.collective.clone(),
            parallel,
            instructions: post.instructions,
            link,
            abort: abort.clone(),
            progress: progress.clone(),
            requests: requests.clone(),
            faults: Faults::from_environment(
                (post.slot, number),
                (Rank(start.rank), WorldSize(start.world_size)),
            )?,
            config,
        };
        let (rank, world_size) = (task.rank, task.world_size);
        tracing::info!(generation = start.generation, %rank, %world_size, parallel, "starting");
        let ending = spawn(binding, task)?;
        Ok(Self { run: start.run, number, ending, requests, abort, ended })
    }

    /// What of it the worker keeps.
    pub fn leaves(&self, memory: Memory) -> Kept {
        Kept { run: self.run.clone(), generation: self.number, memory }
    }

    /// Asks the ranks to agree on something after the step in flight.
    pub fn ask(&self, request: Request) {
        self.requests.ask(request);
    }

    /// Breaks the exchanges and ends every wait.
    pub fn break_off(&self, reason: &str) {
        self.abort.abort(reason);
        self.ended.cancel();
    }

    /// Waits for the trainer's end.
    pub async fn ending(&mut self) -> Ending {
        let ending = (&mut self.ending).await;
        // Nothing of this generation goes on: what its first rank may still be sending is sent again by the next.
        self.ended.cancel();
        let panicked = || Ending { result: Err(TrainerError::Panicked("trainer")), memory: None };
        ending.unwrap_or_else(|_| panicked())
    }
}

impl Drop for RunningGeneration {
    fn drop(&mut self) {
        self.break_off("the session is over");
    }
}

fn spawn(binding: Binding, task: Task) -> anyhow::Result<oneshot::Receiver<Ending>> {
    let (sender, ending) = oneshot::channel();
    std::thread::Builder::new()
        .name("trainer".to_string())
        .spawn(move || {
            match binding.take_effect() {
                Ok(Some(cpus)) => tracing::info!(%cpus, "computing on this worker's share"),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot compute on a share of the cores alone")
                }
            }
            // A panic drops the sender, which tells of it.
            let run = std::panic::AssertUnwindSafe(|| trainer::run(task));
            if let Ok(ending) = std::panic::catch_unwind(run) {
                // The session may be over already.
                let _ = sender.send(ending);
            }
        })
        .context("start the trainer thread")?;
    Ok(ending)
}

fn origin(start: &Start, kept: Option<Kept>) -> Origin {
    match start.start_from() {
        StartFrom::Seed => Origin::Seed,
        StartFrom::Initial => Origin::Initial,
        StartFrom::Checkpoint => Origin::Checkpoint,
        StartFrom::Member => {
            let lacking = start.lacking.iter().copied().map(Rank).collect();
            let own: Option<Memory> =
                kept.filter(|kept| kept.run == start.run).map(|kept| kept.memory);
            Origin::Members { roles: Roles { source: Rank(start.source_rank), lacking }, own }
        }
    }
}
