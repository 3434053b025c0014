//! A run from its beginning to its end: prepare, serve, watch, end, sum up.
//!
//! `main` and the tests call [`run`] with its listener, its clock and its source of interrupts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use common::causes::in_words;
use common::config::schedule;
use common::ids::Slot;
use proto::StatusReply;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::assembly::{begin_spawning, share};
use super::plan::{RunPlan, naming_its_variable};
use super::prepare::{Prepared, prepare};
use super::spawn::{SpawnPlan, WorkerExit, Workers, find_program, url};
use super::{advice, predecessor, progress, summary};
use crate::clock::Clock;
use crate::cluster::membership::{Event, Outcome, Timing};
use crate::door::Door;
use crate::interrupts::Interrupt;
use crate::log::{LogFile, Terminal};
use crate::machine;
use crate::run_directory::ledger::{Completion, Entry};
use crate::run_directory::{RunDirectory, WORKER_LOGS, fingerprint};
use crate::service::Shared;
use crate::service::server::serve;
use crate::service::status::status;

/// How long ended sessions may take to deliver their last orders.
const FAREWELL: Duration = Duration::from_secs(3);
/// How long started workers that have joined may take to leave: after a complete run, and after any other.
const LEAVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(2));

/// How long workers are waited for that may come to a run that was complete before: containers are started one by one.
const NOTHING_TO_DO: Duration = Duration::from_secs(60);

/// What a run takes from outside.
#[derive(Debug)]
pub struct Inputs {
    /// Where workers come in.
    pub listener: TcpListener,
    /// Who may come in.
    pub door: Door,
    /// Wishes to end early.
    pub interrupts: mpsc::Receiver<Interrupt>,
    /// Time.
    pub clock: Clock,
    /// How long waits may last that no setting is about.
    pub timing: Timing,
    /// What the user sees while it lasts.
    pub terminal: Terminal,
    /// What is kept of the log.
    pub log: LogFile,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// The outcome, its reason ready for the user.
    pub outcome: Outcome,
    /// What ended it early, if something did.
    pub interrupt: Option<Interrupt>,
}

impl Ended {
    /// 0 only where every step is done.
    pub fn exit_code(&self) -> u8 {
        match (&self.outcome, self.interrupt) {
            (Outcome::Completed, _) => 0,
            (Outcome::Stopped { .. }, Some(interrupt)) => interrupt.exit_code(),
            _ => 1,
        }
    }
}

/// Runs from preparation to summary.
///
/// # Errors
/// What kept it from starting, or a failure of the coordinator itself. A run that failed later is an [`Ended`].
pub async fn run(plan: RunPlan, mut inputs: Inputs) -> Result<Ended> {
    let address = inputs.listener.local_addr().context("reading the listener's address")?;
    inputs.door.check(address)?;
    let spawn = SpawnRequest::new(&plan, &inputs.door)?;
    if plan.resume {
        tokio::select! {
            asked = predecessor::refuse_if_serving(&plan, address) => asked?,
            Some(interrupt) = inputs.interrupts.recv() => return Ok(stopped(interrupt)),
        }
    }
    let log = inputs.log.clone();
    let workers_come = plan.workers_come;
    let preparing = spawn_blocking(move || {
        let prepared = prepare(&plan, &log, SystemTime::now());
        prepared.map_err(|error| naming_its_variable(&plan.variables, error))
    });
    let prepared = tokio::select! {
        prepared = preparing => prepared.context("preparing the run")??,
        Some(interrupt) = inputs.interrupts.recv() => return Ok(stopped(interrupt)),
    };
    let Some(completion) = prepared.completion else {
        return Running::start(prepared, spawn, inputs)?.finish().await;
    };
    let fingerprint = fingerprint_of(&prepared.directory).await;
    println!("{}", completed(&prepared, completion, fingerprint));
    if workers_come {
        Running::start(prepared, None, inputs)?.tell_workers().await;
    }
    Ok(Ended { outcome: Outcome::Completed, interrupt: None })
}

/// The summary of a run that was complete before.
fn completed(prepared: &Prepared, completion: Completion, fingerprint: Option<String>) -> String {
    let samples = prepared.data.identity.train_samples as usize;
    summary::text(&summary::Facts {
        outcome: &Outcome::Completed,
        status: &StatusReply {
            run_directory: prepared.directory.root().display().to_string(),
            total_steps: schedule::total_steps(&prepared.config, samples),
            last_epoch: prepared.record.last_epoch.as_ref().map(Into::into),
            ..StatusReply::default()
        },
        stored: None,
        fingerprint,
        training_time: completion.training_time,
        synthetic: prepared.data.synthetic,
    })
}

/// A run's fingerprint, where a checkpoint is stored.
async fn fingerprint_of(directory: &Arc<RunDirectory>) -> Option<String> {
    let directory = Arc::clone(directory);
    spawn_blocking(move || fingerprint::of(directory.root()).ok()).await.ok().flatten()
}

fn stopped(interrupt: Interrupt) -> Ended {
    let reason = interrupt.name().to_string();
    Ended { outcome: Outcome::Stopped { reason }, interrupt: Some(interrupt) }
}

/// `--spawn`, checked before anything is prepared.
#[derive(Debug)]
struct SpawnRequest {
    program: std::path::PathBuf,
    access: Vec<(&'static str, std::path::PathBuf)>,
}

impl SpawnRequest {
    fn new(plan: &RunPlan, door: &Door) -> Result<Option<Self>> {
        if !plan.config.spawn {
            return Ok(None);
        }
        let own = std::env::current_exe().context("finding this program's own path")?;
        let program = find_program(&own, std::env::var_os("PATH").as_deref())?;
        Ok(Some(Self { program, access: door.access_of_workers()? }))
    }
}

/// A run with its tasks.
struct Running {
    shared: Arc<Shared>,
    synthetic: bool,
    terminal: Terminal,
    interrupts: mpsc::Receiver<Interrupt>,
    workers: Option<Workers>,
    exits: mpsc::UnboundedReceiver<WorkerExit>,
    /// Slots that a worker is to be started for, and after how long; those whose time has not come.
    spawns: mpsc::UnboundedReceiver<(Slot, Duration)>,
    soon: JoinSet<Slot>,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
    /// Ends the server once its streams are done.
    no_more_calls: CancellationToken,
}

impl Running {
    fn start(prepared: Prepared, spawn: Option<SpawnRequest>, inputs: Inputs) -> Result<Self> {
        let Inputs { listener, door, interrupts, clock, timing, terminal, log: _ } = inputs;
        let synthetic = prepared.data.synthetic;
        let processes = match prepared.history.survivors.is_empty() {
            true => BTreeMap::new(),
            false => prepared.history.processes.clone(),
        };
        let address = listener.local_addr().context("reading the listener's address")?;
        prepared.directory.record_durably(Entry::Coordinator {
            run: prepared.run.clone(),
            address: address.to_string(),
            host: machine::name().unwrap_or_default(),
            process: std::process::id(),
        })?;
        let (spawned, spawns) = mpsc::unbounded_channel();
        let shared = Arc::new(share(prepared, clock, timing, spawned));
        tracing::info!(%address, "listening");
        if !shared.was_complete {
            tracing::info!("waiting for workers: {}", shared.cluster.view().reason);
        }
        let no_more_calls = CancellationToken::new();
        let scheme = door.scheme();
        let server =
            tokio::spawn(serve(Arc::clone(&shared), listener, door, no_more_calls.clone()));
        let cancel = shared.cancel.clone();
        let cluster = Arc::clone(&shared.cluster);
        shared.tasks.spawn(async move { cluster.tick(cancel).await });
        shared.tasks.spawn(progress::show(Arc::clone(&shared), terminal.clone()));
        let (exited, exits) = mpsc::unbounded_channel();
        let workers = spawn.map(|spawn| {
            let plan = SpawnPlan {
                program: spawn.program,
                url: url(scheme, address),
                access: spawn.access,
                logs: shared.directory.root().join(WORKER_LOGS),
            };
            begin_spawning(plan, shared.config.workers, &processes, exited)
        });
        let workers = workers.transpose()?;
        Ok(Self {
            shared,
            synthetic,
            terminal,
            interrupts,
            workers,
            exits,
            spawns,
            soon: JoinSet::new(),
            server,
            no_more_calls,
        })
    }

    async fn finish(mut self) -> Result<Ended> {
        let ended = self.watch().await?;
        let ended = self.explain(ended);
        let last = status(&self.shared);
        if !self.no_more_calls.is_cancelled() {
            // One more interrupt ends the waiting for everyone to leave.
            let mut interrupts = std::mem::replace(&mut self.interrupts, mpsc::channel(1).1);
            tokio::select! {
                () = self.shut_down(&ended) => {}
                Some(_) = interrupts.recv() => {}
            }
        }
        self.cut_off();
        let fingerprint = fingerprint_of(&self.shared.directory).await;
        let record = self.shared.board.read();
        let sum = summary::text(&summary::Facts {
            outcome: &ended.outcome,
            status: &last,
            stored: record.last_checkpoint.map(|_| record.checkpoint_step),
            fingerprint,
            training_time: self.shared.cluster.training_time(),
            synthetic: self.synthetic,
        });
        tracing::debug!("{sum}");
        if !matches!(ended.outcome, Outcome::Failed { .. }) {
            println!("{sum}");
        }
        Ok(ended)
    }

    /// Waits for the end, passing on what comes from outside the service.
    async fn watch(&mut self) -> Result<Ended> {
        let cluster = Arc::clone(&self.shared.cluster);
        let mut interrupt = None;
        loop {
            tokio::select! {
                outcome = cluster.ended() => return Ok(Ended { outcome, interrupt }),
                Some(next) = self.interrupts.recv() => {
                    if interrupt.is_some() {
                        self.cut_off();
                        return Ok(stopped(next));
                    }
                    interrupt = Some(next);
                    let reason = next.name().to_string();
                    cluster.apply(Event::StopRequested { reason });
                }
                Some(WorkerExit { slot, process, how }) = self.exits.recv() => {
                    cluster.apply(Event::ProcessEnded { slot, process, how });
                }
                Some((slot, delay)) = self.spawns.recv() => {
                    self.soon.spawn(async move { tokio::time::sleep(delay).await; slot });
                }
                Some(Ok(slot)) = self.soon.join_next() => self.respawn(slot),
                served = &mut self.server => {
                    served.context("serving workers")?.context("serving workers")?;
                    anyhow::bail!("the server ended before the run");
                }
            }
        }
    }

    /// Starts a worker in place of one that is gone, or beside the others.
    fn respawn(&mut self, slot: Slot) {
        let Some(workers) = &mut self.workers else {
            return;
        };
        tracing::info!(%slot, "starting a worker");
        if let Err(error) = workers.start(slot) {
            let how = format!("could not be started: {}", in_words(error.as_ref()));
            self.shared.cluster.apply(Event::ProcessEnded { slot, process: 0, how });
        }
    }

    /// Tells workers that come that there was nothing left to do from the beginning.
    async fn tell_workers(mut self) {
        let workers = self.shared.config.workers as usize;
        let cluster = Arc::clone(&self.shared.cluster);
        let told = async {
            cluster.tell_latecomers(workers, NOTHING_TO_DO).await;
            // More of them may have been started than the run asks for.
            tokio::time::sleep(FAREWELL).await;
        };
        tokio::select! {
            () = told => {}
            Some(_) = self.interrupts.recv() => {}
        }
        self.no_more_calls.cancel();
        timeout(FAREWELL, &mut self.server).await.ok();
        self.cut_off();
    }

    /// Adds to a failure what can be done about it, and what a started worker said last, where the failure is its.
    fn explain(&self, mut ended: Ended) -> Ended {
        if let Outcome::Failed { reason, .. } = &mut ended.outcome {
            let (record, root) = (self.shared.board.read(), self.shared.directory.root());
            reason.push_str(&advice::after_failure(&record, &self.shared.config, root));
        }
        if let (Outcome::Failed { reason, slot: Some(slot) }, Some(workers)) =
            (&mut ended.outcome, &self.workers)
        {
            let tail = workers.log_tail(*slot);
            if !tail.is_empty() {
                reason.push_str(&format!("\nthe end of that worker's log:{tail}"));
            }
        }
        ended
    }

    /// Ends whatever is left, at once.
    fn cut_off(&mut self) {
        self.no_more_calls.cancel();
        self.server.abort();
        // Dropping the workers kills them.
        self.workers = None;
        self.shared.cancel.cancel();
        self.terminal.bar.finish_and_clear();
    }

    async fn shut_down(&mut self, ended: &Ended) {
        let complete = ended.outcome == Outcome::Completed;
        let members = self.shared.cluster.processes();
        if complete {
            self.shared.cluster.wait_for_latecomers().await;
        }
        self.no_more_calls.cancel();
        if timeout(FAREWELL, &mut self.server).await.is_err() {
            self.server.abort();
        }
        if let Some(workers) = self.workers.take() {
            workers.end(members, if complete { LEAVE.0 } else { LEAVE.1 }).await;
        }
        self.shared.cancel.cancel();
        self.shared.tasks.close();
        timeout(FAREWELL, self.shared.tasks.wait()).await.ok();
    }
}
