//! A coordinator inside the test's process, on a free port, and workers that are mere clients of it.

use std::ffi::OsString;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use common::access::{Access, Line};
use common::config::Config;
use common::status::ServiceError;
use coordinator::clock::Clock;
use coordinator::cluster::membership::Timing;
use coordinator::commands::args::{self, Command, Environment};
use coordinator::door::{self, DoorSettings};
use coordinator::interrupts::Interrupt;
use coordinator::log::{Display, LogFile, Terminal};
use coordinator::run::{self, Ended, Inputs, RunPlan};
use coordinator::service::server;
use nix::fcntl::{Flock, FlockArg};
use proto::coordinator_client::CoordinatorClient;
use proto::coordinator_message::Message as Order;
use proto::worker_message::Message as Word;
use proto::{
    CoordinatorMessage, Finished, Heartbeat, Hello, Left, PROTOCOL_VERSION, PutArtifactHeader,
    PutArtifactPiece, Reached, ReportMetricsRequest, Start, StepMetrics, Welcome, WorkerMessage,
    put_artifact_piece,
};
use proto::{GetArtifactRequest, report_metrics_request};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use tonic::{Status, Streaming};

use crate::files::checkpoint_files;

/// Nothing here takes longer.
const HARD_LIMIT: Duration = Duration::from_secs(30);

/// Waits that a test has the patience for. Most simulated workers send no heartbeats.
/// Settings go over the first, the second and the last but one.
pub const TIMING: Timing = Timing {
    heartbeat_timeout: Duration::from_secs(60),
    pause_timeout: Duration::from_secs(60),
    probe_timeout: Duration::from_millis(400),
    leave_timeout: Duration::from_secs(2),
    rejoin_timeout: Duration::from_secs(60),
    stop_timeout: Duration::from_secs(2),
    latecomers_timeout: Duration::from_secs(2),
};

/// Ends a test that hangs.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HARD_LIMIT, future).await.expect("a step of the test took too long")
}

/// Small settings: 97 samples in batches of 10, four logical shards.
pub const SMALL: [&str; 12] = [
    "--dataset",
    "synthetic",
    "--train-samples",
    "97",
    "--test-samples",
    "23",
    "--batch-size",
    "10",
    "--test-batch-size",
    "7",
    "--epochs",
    "3",
];

/// A running coordinator.
pub struct TestRun {
    pub address: String,
    /// How its workers get in.
    pub access: Access,
    pub root: PathBuf,
    pub interrupts: mpsc::Sender<Interrupt>,
    running: JoinHandle<Result<Ended>>,
    /// Its own, so that it can end with all its tasks.
    runtime: Option<Runtime>,
}

/// Parses a command line as the program does.
pub fn plan(root: &Path, arguments: &[&str]) -> Result<RunPlan> {
    let root = root.to_str().unwrap();
    let fixed = ["coordinator", "--run-dir", root];
    let any = ["--listen", "127.0.0.1:0"];
    let any = if arguments.contains(&any[0]) { &[][..] } else { &any[..] };
    let all = fixed.iter().chain(any).chain(arguments).map(OsString::from);
    let environment = Environment { world_size: None, mnist_dir: None, cores: 2 };
    match args::parse(all, &environment)? {
        Command::Run(plan) => Ok(*plan),
        other => panic!("{other:?} is not a run"),
    }
}

impl TestRun {
    /// Starts a new run in `folder` with the small settings, over which `arguments` go.
    pub async fn start(folder: &TempDir, arguments: &[&str]) -> Self {
        let root = folder.path().join("run");
        let small = SMALL.chunks(2).filter(|pair| !arguments.contains(&pair[0])).flatten();
        let small: Vec<&str> = small.copied().collect();
        let plan = plan(&root, &[&small[..], arguments].concat()).unwrap();
        Self::launch(root, plan).await
    }

    /// Goes on with the run in `folder`.
    pub async fn resume(folder: &TempDir, arguments: &[&str]) -> Self {
        let root = folder.path().join("run");
        let plan = plan(&root, &[&["--resume"], arguments].concat()).unwrap();
        Self::launch(root, plan).await
    }

    async fn launch(root: PathBuf, plan: RunPlan) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listen = plan.config.listen.clone();
        let door = door::open(&plan.door).unwrap();
        let scheme = door.scheme();
        let DoorSettings { tls_ca, tls_cert, tls_key, join_token_file, .. } = plan.door.clone();
        let access = Access { tls_ca, tls_cert, tls_key, join_token_file };
        let binding = runtime.spawn(async move { server::bind(&listen).await });
        let listener = binding.await.unwrap().unwrap();
        let address = format!("{scheme}://{}", listener.local_addr().unwrap());
        let (interrupts, received) = mpsc::channel(2);
        let inputs = Inputs {
            listener,
            door,
            interrupts: received,
            clock: Clock::monotonic(),
            timing: TIMING,
            terminal: Terminal::new(Display::Lines),
            log: LogFile::default(),
        };
        let running = runtime.spawn(run::run(plan, inputs));
        Self { address, access, root, interrupts, running, runtime: Some(runtime) }
    }

    /// How it ended.
    pub async fn ended(mut self) -> Ended {
        within(&mut self.running).await.unwrap().unwrap()
    }

    /// Why it did not start.
    pub async fn error(mut self) -> String {
        format!("{:#}", within(&mut self.running).await.unwrap().unwrap_err())
    }

    pub fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Ends it as a kill would: nobody is told, nothing is written.
    pub async fn kill(mut self) {
        self.runtime.take().unwrap().shutdown_background();
        within(&mut self.running).await.unwrap_err();
        // The lock on the run directory goes with the last task.
        let lock = |file| Flock::lock(file, FlockArg::LockExclusiveNonblock);
        while lock(std::fs::File::open(&self.root).unwrap()).is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn metrics_lines(&self) -> Vec<serde_json::Value> {
        let text = String::from_utf8(self.read("metrics.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for TestRun {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A worker that only talks.
#[derive(Debug)]
pub struct FakeWorker {
    words: mpsc::Sender<WorkerMessage>,
    pub orders: Streaming<CoordinatorMessage>,
    caller: Caller,
}

/// Somebody who has come in: what a worker does beside its session.
#[derive(Clone, Debug)]
pub struct Caller {
    pub client: CoordinatorClient<Line>,
}

impl Deref for FakeWorker {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl DerefMut for FakeWorker {
    fn deref_mut(&mut self) -> &mut Caller {
        &mut self.caller
    }
}

/// What an ordinary worker says first.
pub fn hello(slot: u32) -> Hello {
    Hello {
        protocol_version: PROTOCOL_VERSION,
        slot: Some(slot),
        advertise: format!("host-{slot}"),
        device: "cpu".to_string(),
        hardware: "Xeon".to_string(),
        libtorch_version: "2.11.0".to_string(),
        program_version: "0.1.0".to_string(),
        process_id: 100 + slot,
        held: None,
        incarnation: 1000 + u64::from(slot),
        machine: String::new(),
    }
}

/// A step that is done.
pub fn at(step: u64) -> Option<Reached> {
    Some(Reached { step, ..Reached::default() })
}

impl FakeWorker {
    pub async fn join(run: &TestRun, slot: u32) -> Self {
        Self::join_as(run, hello(slot)).await.unwrap()
    }

    pub async fn join_as(run: &TestRun, hello: Hello) -> Result<Self, ServiceError> {
        Self::join_with(&run.address, &run.access, hello).await
    }

    pub async fn join_at(address: &str, hello: Hello) -> Result<Self, ServiceError> {
        Self::join_with(address, &Access::default(), hello).await
    }

    pub async fn join_with(
        address: &str,
        access: &Access,
        hello: Hello,
    ) -> Result<Self, ServiceError> {
        Self::join_over(Caller::connect(address, access).await?, hello).await
    }

    pub async fn join_over(mut caller: Caller, hello: Hello) -> Result<Self, ServiceError> {
        let (words, outgoing) = mpsc::channel(16);
        words.send(WorkerMessage { message: Some(Word::Hello(hello)) }).await.unwrap();
        let session = caller.client.session(ReceiverStream::new(outgoing));
        let orders = within(session).await?.into_inner();
        Ok(Self { words, orders, caller })
    }

    /// `count` workers that have been told to start.
    pub async fn start_all(run: &TestRun, count: u32) -> (Vec<Self>, Vec<Start>) {
        let mut workers = Vec::new();
        for slot in 0..count {
            workers.push(Self::join(run, slot).await);
        }
        let mut starts = Vec::new();
        for worker in &mut workers {
            starts.push(worker.start().await);
        }
        (workers, starts)
    }

    pub async fn say(&self, word: Word) {
        self.words.send(WorkerMessage { message: Some(word) }).await.unwrap();
    }

    pub async fn beat(&self, step: u64) {
        let heartbeat =
            Heartbeat { generation: 1, phase: "training".into(), step, ..Heartbeat::default() };
        self.say(Word::Heartbeat(heartbeat)).await;
    }

    pub async fn finish(&self, stopped: bool) {
        self.finish_in(1, stopped, 30).await;
    }

    pub async fn finish_in(&self, generation: u64, stopped: bool, step: u64) {
        self.say(Word::Finished(Finished { generation, stopped, reached: at(step) })).await;
    }

    /// Leaves a generation whose exchanges broke.
    pub async fn leave(&self, generation: u64, step: u64) {
        let reason = "rank 9 is lost".to_string();
        self.say(Word::Left(Left { generation, reached: at(step), reason, broken: true })).await;
    }

    /// The next order, or how the stream ended. Greetings and answers to heartbeats are passed over.
    pub async fn order(&mut self) -> Result<Option<Order>, Status> {
        loop {
            let order = within(self.orders.message()).await?.and_then(|order| order.message);
            if !matches!(order, Some(Order::Welcome(_) | Order::Heard(_))) {
                return Ok(order);
            }
        }
    }

    /// The greeting that must come next.
    pub async fn welcome(&mut self) -> Welcome {
        match within(self.orders.message()).await.unwrap().and_then(|order| order.message) {
            Some(Order::Welcome(welcome)) => welcome,
            other => panic!("{other:?} instead of Welcome"),
        }
    }

    pub async fn start(&mut self) -> Start {
        match self.order().await {
            Ok(Some(Order::Start(start))) => start,
            other => panic!("{other:?} instead of Start"),
        }
    }

    /// The reason of the Halt that must come next, and whether it is to be followed at once.
    pub async fn halted(&mut self) -> (String, bool) {
        match self.order().await {
            Ok(Some(Order::Halt(halt))) => (halt.reason, halt.at_once),
            other => panic!("{other:?} instead of Halt"),
        }
    }

    /// The reason of the Abort that must come next.
    pub async fn aborted(&mut self) -> String {
        match self.order().await {
            Ok(Some(Order::Abort(abort))) => abort.reason,
            other => panic!("{other:?} instead of Abort"),
        }
    }
}

impl Caller {
    /// Connects, and nothing more.
    pub async fn connect(address: &str, access: &Access) -> Result<Self, ServiceError> {
        let endpoint = Endpoint::from_shared(address.to_string()).unwrap();
        let line = within(access.connect(endpoint)).await?;
        Ok(Self { client: CoordinatorClient::new(line) })
    }

    pub async fn put(&mut self, paths: &[&str], content: &[u8]) -> Result<(), ServiceError> {
        self.put_as(1, paths, content, content.len() as u64).await
    }

    pub async fn put_as(
        &mut self,
        generation: u64,
        paths: &[&str],
        content: &[u8],
        length: u64,
    ) -> Result<(), ServiceError> {
        let paths = paths.iter().map(|path| (*path).to_string()).collect();
        let header = PutArtifactHeader { generation, paths, length };
        let piece = |piece| PutArtifactPiece { piece: Some(piece) };
        let mut pieces = vec![piece(put_artifact_piece::Piece::Header(header))];
        // Few pieces, so that there are few places to be killed at.
        let contents =
            content.chunks(content.len().div_ceil(3).clamp(1000, 1 << 20)).map(<[u8]>::to_vec);
        pieces.extend(contents.map(|c| piece(put_artifact_piece::Piece::Content(c.into()))));
        within(self.client.put_artifact(tokio_stream::iter(pieces))).await?;
        Ok(())
    }

    pub async fn get(&mut self, path: &str) -> Result<Vec<u8>, ServiceError> {
        let request = GetArtifactRequest { path: path.to_string() };
        let mut pieces = within(self.client.get_artifact(request)).await?.into_inner();
        let mut content = Vec::new();
        while let Some(piece) = within(pieces.message()).await? {
            content.extend_from_slice(&piece.content);
        }
        Ok(content)
    }

    /// Reports a step's losses.
    pub async fn report_step(&mut self, epoch: u64, step: u64) -> Result<(), ServiceError> {
        self.report_step_in(1, epoch, step).await
    }

    pub async fn report_step_in(
        &mut self,
        generation: u64,
        epoch: u64,
        step: u64,
    ) -> Result<(), ServiceError> {
        let metrics =
            StepMetrics { epoch, step, loss: 0.1 + 0.2, lr: 1e-3, ..StepMetrics::default() };
        let metrics = Some(report_metrics_request::Metrics::Step(metrics));
        within(self.client.report_metrics(ReportMetricsRequest { generation, metrics })).await?;
        Ok(())
    }

    /// Stores a checkpoint under `stems`, as a worker does: the resume file, then the model that names it.
    pub async fn checkpoint(
        &mut self,
        stems: &[&str],
        position: [u64; 3],
    ) -> Result<(), ServiceError> {
        let (model, resume) = checkpoint_files(position);
        let paths = |suffix| stems.iter().map(move |stem| format!("checkpoints/{stem}{suffix}"));
        for (suffix, content) in [(".resume.safetensors", &resume), (".safetensors", &model)] {
            let paths: Vec<String> = paths(suffix).collect();
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            self.put(&paths, content).await?;
        }
        Ok(())
    }
}

/// The settings that workers were sent.
pub fn config(start: &Start) -> Config {
    Config::from_toml(&start.config).unwrap()
}
