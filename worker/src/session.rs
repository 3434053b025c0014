//! The worker's stay with the coordinator: joins, obeys, and sees that both sides learn of every end.
//!
//! Lives on tokio and never touches a tensor; one trainer thread computes. Orders go to it through a flag, the
//! collective's abort handle and a cancellation token; its outcome comes back through a channel.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use backon::{BackoffBuilder, ExponentialBuilder};
use common::config::Config;
use common::ids::{Generation, Rank, WorldSize};
use common::status::ServiceError;
use proto::coordinator_client::CoordinatorClient;
use proto::coordinator_message::Message as Order;
use proto::worker_message::Message as Word;
use proto::{
    CoordinatorMessage, Failed, Finished, Hello, PROTOCOL_VERSION, Pong, Start, WorkerMessage,
};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use crate::args::WorkerArgs;
use crate::bridge;
use crate::collective::AbortHandle;
use crate::hardware;
use crate::link::Link;
use crate::progress::Progress;
use crate::trainer::{self, Outcome, RunFacts, Task, TrainerError};

/// Time between two heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long a trainer that was told to end may take.
const TRAINER_END: Duration = Duration::from_secs(5);
/// How long the coordinator may take to answer a failure.
const VERDICT: Duration = Duration::from_secs(5);
/// Longest message: samples and files travel in smaller pieces.
const MESSAGE_LIMIT: usize = 16 << 20;

type Client = CoordinatorClient<Channel>;

/// Joins the coordinator and works until the run ends.
///
/// # Errors
/// Why the run did not end well, in words for the user.
pub async fn run(args: &WorkerArgs) -> anyhow::Result<()> {
    let deadline = Instant::now() + args.connect_timeout;
    let mut waits = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(2))
        .without_max_times()
        .with_jitter()
        .build();
    let mut told = false;
    loop {
        let error = match join(args).await {
            Ok(session) => return session.obey().await,
            Err(error @ ServiceError::Unreachable(_)) => error,
            Err(error) => {
                return Err(anyhow!("{error}").context("the coordinator refused this worker"));
            }
        };
        if Instant::now() >= deadline {
            bail!(
                "no coordinator at {} within {:?} ({error}); start it, or give its address with --coordinator",
                args.coordinator,
                args.connect_timeout
            );
        }
        if !std::mem::replace(&mut told, true) {
            tracing::info!(coordinator = %args.coordinator, "waiting for the coordinator");
        }
        tokio::time::sleep(waits.next().unwrap_or(Duration::from_secs(2))).await;
    }
}

async fn join(args: &WorkerArgs) -> Result<Session, ServiceError> {
    let endpoint = Endpoint::from(args.coordinator.clone())
        .connect_timeout(Duration::from_secs(5))
        .tcp_nodelay(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .http2_keep_alive_interval(Duration::from_secs(2))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true);
    let unreachable = |error: tonic::transport::Error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        ServiceError::Unreachable(cause.unwrap_or_else(|| error.to_string()))
    };
    let channel = endpoint.connect().await.map_err(unreachable)?;
    let mut client = Client::new(channel).max_decoding_message_size(MESSAGE_LIMIT);
    let (words, outgoing) = mpsc::channel(16);
    let hello = Hello {
        protocol_version: PROTOCOL_VERSION,
        slot: args.slot.0,
        advertise: args.advertise.clone(),
        device: "cpu".to_string(),
        hardware: hardware::processor(),
        libtorch_version: bridge::LIBTORCH_VERSION.to_string(),
        program_version: env!("CARGO_PKG_VERSION").to_string(),
        process_id: std::process::id(),
    };
    words.try_send(message(Word::Hello(hello))).expect("the channel is new");
    let orders = client.session(ReceiverStream::new(outgoing)).await?.into_inner();
    tracing::info!(coordinator = %args.coordinator, slot = %args.slot, "joined");
    Ok(Session {
        args: args.clone(),
        client,
        words,
        orders,
        progress: Progress::default(),
        generation: Generation(0),
        trainer: None,
    })
}

/// One stay.
struct Session {
    args: WorkerArgs,
    client: Client,
    words: mpsc::Sender<WorkerMessage>,
    orders: Streaming<CoordinatorMessage>,
    progress: Progress,
    generation: Generation,
    trainer: Option<RunningTrainer>,
}

/// The trainer thread, seen from the session.
struct RunningTrainer {
    outcome: oneshot::Receiver<Result<Outcome, TrainerError>>,
    stop: Arc<AtomicBool>,
    abort: AbortHandle,
    ended: CancellationToken,
}

impl Session {
    /// Follows orders until the run ends.
    async fn obey(mut self) -> anyhow::Result<()> {
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
                .context("listen for SIGTERM")?;
        loop {
            tokio::select! {
                order = self.orders.message() => match order {
                    Ok(Some(CoordinatorMessage { message: Some(order) })) => {
                        if let Some(end) = self.follow(order).await {
                            return end;
                        }
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => return self.lost("it closed the connection").await,
                    Err(status) => return self.refused(status).await,
                },
                outcome = outcome_of(&mut self.trainer) => match self.report(outcome).await {
                    Ok(()) => self.trainer = None,
                    Err(error) => return Err(error),
                },
                _ = heartbeat.tick() => self.say(Word::Heartbeat(self.progress.heartbeat(self.generation))).await,
                _ = tokio::signal::ctrl_c() => return self.leave("it was interrupted (SIGINT)").await,
                _ = terminate.recv() => return self.leave("it was terminated (SIGTERM)").await,
            }
        }
    }

    /// Carries out one order; the stay's end, if it is one.
    async fn follow(&mut self, order: Order) -> Option<anyhow::Result<()>> {
        match order {
            Order::Start(start) => match self.start(start) {
                Ok(()) => None,
                Err(error) => {
                    self.fail(format!("{error:#}"), false).await;
                    Some(Err(error))
                }
            },
            Order::Ping(ping) => {
                self.say(Word::Pong(Pong { nonce: ping.nonce })).await;
                None
            }
            Order::Stop(stop) => {
                tracing::info!(reason = stop.reason, "stopping after this step");
                if let Some(trainer) = &self.trainer {
                    trainer.stop.store(true, Ordering::Relaxed);
                    return None;
                }
                Some(Ok(()))
            }
            Order::Abort(abort) => {
                self.end_trainer(&abort.reason).await;
                Some(Err(anyhow!("the run ended: {}", abort.reason)))
            }
            Order::Goodbye(_) => Some(Ok(())),
        }
    }

    fn start(&mut self, start: Start) -> anyhow::Result<()> {
        let config = Config::from_toml(&start.config)
            .map_err(|error| anyhow!("the coordinator's configuration cannot be read: {error}"))?;
        self.generation = Generation(start.generation);
        let (stop, abort) = (Arc::new(AtomicBool::new(false)), AbortHandle::new());
        let ended = CancellationToken::new();
        let link =
            Link::new(Handle::current(), self.client.clone(), self.generation, ended.clone());
        let threads = config.thread_count() as usize;
        let default_parallel = (hardware::cores() / threads).max(1);
        let parallel = self.args.parallel.unwrap_or(default_parallel).min(config.shard_count());
        let task = Task {
            facts: RunFacts {
                train_samples: start.train_samples as usize,
                test_samples: start.test_samples as usize,
                dataset: start.dataset.clone(),
            },
            start_from: start.start_from(),
            rank: Rank(start.rank),
            world_size: WorldSize(start.world_size),
            advertise: self.args.advertise.clone(),
            parallel,
            link,
            abort: abort.clone(),
            progress: self.progress.clone(),
            stop: stop.clone(),
            config,
        };
        let (rank, world_size) = (task.rank, task.world_size);
        tracing::info!(generation = start.generation, %rank, %world_size, parallel, "starting");
        let (sender, outcome) = oneshot::channel();
        std::thread::Builder::new()
            .name("trainer".to_string())
            .spawn(move || {
                let result =
                    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| trainer::run(task)));
                // The session may be over already.
                let _ = sender.send(result.unwrap_or(Err(TrainerError::Panicked("trainer"))));
            })
            .context("start the trainer thread")?;
        self.trainer = Some(RunningTrainer { outcome, stop, abort, ended });
        Ok(())
    }

    /// Tells the coordinator of the trainer's end; the run's end is its decision.
    async fn report(&mut self, outcome: Result<Outcome, TrainerError>) -> anyhow::Result<()> {
        match outcome {
            Ok(outcome) => {
                let stopped = outcome == Outcome::Stopped;
                self.say(Word::Finished(Finished { generation: self.generation.0, stopped })).await;
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "training failed");
                self.fail(error.to_string(), error.is_consequence()).await;
                self.await_verdict().await?;
                Err(error.into())
            }
        }
    }

    async fn fail(&self, reason: String, peer_lost: bool) {
        self.say(Word::Failed(Failed { generation: self.generation.0, reason, peer_lost })).await;
    }

    /// After a failure: waits for the coordinator's word, which knows the cause if this is a consequence.
    async fn await_verdict(&mut self) -> anyhow::Result<()> {
        let wait = async {
            while let Ok(Some(order)) = self.orders.message().await {
                if let Some(Order::Abort(abort)) = order.message {
                    bail!("the run ended: {}", abort.reason);
                }
            }
            Ok(())
        };
        tokio::time::timeout(VERDICT, wait).await.unwrap_or(Ok(()))
    }

    async fn lost(self, reason: &str) -> anyhow::Result<()> {
        self.end_trainer(reason).await;
        bail!("the coordinator was lost: {reason}");
    }

    async fn refused(self, status: tonic::Status) -> anyhow::Result<()> {
        let error = ServiceError::from(status);
        self.end_trainer(&error.to_string()).await;
        match error {
            ServiceError::Unreachable(reason) => bail!("the coordinator was lost: {reason}"),
            refusal => bail!("the coordinator refused this worker: {refusal}"),
        }
    }

    async fn leave(self, reason: &str) -> anyhow::Result<()> {
        self.fail(reason.to_string(), false).await;
        self.end_trainer(reason).await;
        bail!("this worker has left: {reason}");
    }

    /// Ends the trainer thread, if there is one, within a few seconds.
    async fn end_trainer(&self, reason: &str) {
        let Some(trainer) = &self.trainer else { return };
        trainer.abort.abort(reason);
        trainer.ended.cancel();
        let wait = async {
            while !trainer.outcome.is_terminated() && trainer.outcome.is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(TRAINER_END, wait).await.is_err() {
            tracing::warn!("the trainer thread did not end in time and is left behind");
        }
    }

    async fn say(&self, word: Word) {
        // A closed channel means the stream has ended, which `orders` reports with its reason.
        let _ = self.words.send(message(word)).await;
    }
}

fn message(word: Word) -> WorkerMessage {
    WorkerMessage { message: Some(word) }
}

/// The trainer's outcome, once there is one; pending for ever without a trainer.
async fn outcome_of(trainer: &mut Option<RunningTrainer>) -> Result<Outcome, TrainerError> {
    match trainer {
        Some(trainer) => {
            (&mut trainer.outcome).await.unwrap_or(Err(TrainerError::Panicked("trainer")))
        }
        None => std::future::pending().await,
    }
}
