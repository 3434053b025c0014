//! A coordinator inside the test's process, on a free port.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use common::access::Access;
use common::causes::in_words;
use common::launcher::Launcher;
use coordinator::clock::Clock;
use coordinator::commands::args::{self, Command, Environment};
use coordinator::door::{self, DoorSettings};
use coordinator::interrupts::Interrupt;
use coordinator::log::{Display, LogFile, Terminal};
use coordinator::run::{self, Ended, Inputs, RunPlan};
use coordinator::service::server;
use nix::fcntl::{Flock, FlockArg};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::patience::{TIMING, within};

/// Small settings: 97 samples in batches of 10, four logical shards.
pub const SMALL: [&str; 14] = [
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
    "--logical-shards",
    "4",
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
    let environment = Environment { launcher: Launcher::default(), mnist_dir: None, cores: 2 };
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

    /// Likewise, as who starts it along with its workers.
    pub async fn resume_if_any(folder: &TempDir) -> Self {
        let root = folder.path().join("run");
        let plan = plan(&root, &["--resume-if-any"]).unwrap();
        Self::launch(root, plan).await
    }

    /// The run of a plan for `folder`.
    pub async fn of(folder: &TempDir, plan: RunPlan) -> Self {
        Self::launch(folder.path().join("run"), plan).await
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
        in_words(within(&mut self.running).await.unwrap().unwrap_err().as_ref())
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
        while lock(std::fs::File::create(self.root.join("coordinator.lock")).unwrap()).is_err() {
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
