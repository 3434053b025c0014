//! The coordinator: a process of its own, ended with the value that stands for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use common::access::Access;
use coordinator::door::certs::worker_access;
use coordinator::run_directory::{EVENTS, LOG, events_log, ledger};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::setting::Setting;
use crate::simulated::HEARTBEAT_INTERVAL;

/// Training samples of the run, as many as MNIST has.
pub const SAMPLES: usize = 60_000;
/// It draws its samples before it listens.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// Lines of its log that explain an error.
const LAST_LINES: usize = 10;

/// A running coordinator, killed when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    /// Where it listens.
    pub address: String,
    /// What it asks of whoever connects.
    pub access: Access,
    /// Holds its run; goes with it.
    folder: TempDir,
}

impl Program {
    /// Starts one that waits for all workers, and waits until it listens.
    ///
    /// # Errors
    /// There is no such program, it ends, or it takes too long.
    pub async fn start(setting: Setting<'_>) -> Result<Self> {
        let Setting { programs, workers, tls, .. } = setting;
        let folder = tempfile::tempdir().context("making a folder for the run")?;
        let path = programs.join("coordinator");
        let path = path.canonicalize().with_context(|| {
            format!(
                "there is no {}: build it with `make build`, or give --programs DIR",
                path.display()
            )
        })?;
        let mut command = command(&path, &folder, workers);
        let access = if tls { lock(&mut command, &path, &folder)? } else { Access::default() };
        let child = command.spawn().with_context(|| format!("starting {}", path.display()))?;
        let mut program = Self { child, address: String::new(), access, folder };
        program.address = program.listening().await.map_err(|error| program.explain(error))?;
        Ok(program)
    }

    /// The most memory it ever had, bytes.
    ///
    /// # Errors
    /// It is gone.
    pub fn peak_memory(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Ok(kibibytes.with_context(|| format!("{path} tells no VmHWM"))? << 10)
    }

    /// Adds what it logged last.
    pub fn explain(&self, error: Error) -> Error {
        let log = fs::read_to_string(self.run().join(LOG)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
        anyhow!("{error:#}\nthe end of the coordinator's log:\n{last}")
    }

    async fn listening(&mut self) -> Result<String> {
        let deadline = Instant::now() + START_PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().context("waiting for the coordinator")? {
                bail!("the coordinator ended before it listened ({status})");
            }
            let lines = events_log::read(&self.run().join(EVENTS))?;
            if let Some(address) = ledger::summarise(&lines).coordinator.map(|last| last.address) {
                return Ok(format!("{}://{address}", self.access.scheme()));
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!("the coordinator does not listen after {START_PATIENCE:?}");
    }

    fn run(&self) -> PathBuf {
        self.folder.path().join("run")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Makes certificates and a token, and has the coordinator ask for them; what a worker needs then.
fn lock(command: &mut Command, path: &Path, folder: &TempDir) -> Result<Access> {
    let made = folder.path().join("access");
    let output = Command::new(path).env_clear().arg("certs").arg(&made).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (flag, file) in [
        ("--tls-ca", "ca.pem"),
        ("--tls-cert", "coordinator.pem"),
        ("--tls-key", "coordinator.key"),
        ("--join-token-file", "join-token"),
    ] {
        command.arg(flag).arg(made.join(file));
    }
    Ok(worker_access(&made))
}

fn command(path: &Path, folder: &TempDir, workers: u32) -> Command {
    let mut command = Command::new(path);
    // Settings in the environment would be settings of the run.
    command.env_clear().current_dir(folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let (workers, samples) = (workers.to_string(), SAMPLES.to_string());
    let interval = HEARTBEAT_INTERVAL.as_secs().to_string();
    for (flag, value) in [
        ("--workers", workers.as_str()),
        ("--logical-shards", &workers),
        ("--min-workers", "1"),
        ("--max-generations", "1000"),
        ("--dataset", "synthetic"),
        ("--train-samples", &samples),
        ("--test-samples", "0"),
        ("--listen", "127.0.0.1:0"),
        ("--run-dir", "run"),
        ("--heartbeat-interval", &interval),
        ("--heartbeat-timeout", "10"),
    ] {
        command.args([flag, value]);
    }
    command
}
