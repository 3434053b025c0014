//! One training run as a child process of this very program.
//!
//! `verify` starts one after the other, `replay` one. The child has a process group of its own, so that a Ctrl-C in the terminal
//! reaches this process alone, which passes it on: the child ends its workers. Every wait has a deadline.

use std::fs::{self, File};
use std::future::pending;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use common::config::Config;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::door::DoorSettings;
use crate::interrupts::Interrupt;

/// From the first SIGTERM, which stops a run in order, to the second, which ends it at once.
const STOP_GRACE: Duration = Duration::from_secs(60);
/// From there to SIGKILL.
const END_GRACE: Duration = Duration::from_secs(10);

/// A run to be made.
#[derive(Clone, Debug)]
pub struct Request {
    /// Of its files.
    pub name: String,
    /// All its settings, `run_dir` among them.
    pub config: Config,
    /// Where its configuration and its log go.
    pub folder: PathBuf,
    /// It goes on with what is in its folder already.
    pub resumes: bool,
    /// How long it may take; none where only its user knows.
    pub limit: Option<Duration>,
}

/// The user does not want to wait.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{}", .0.name())]
pub struct Interrupted(pub Interrupt);

/// Why waiting for the child is over.
enum End {
    Exited(ExitStatus),
    Enough,
    Interrupted(Interrupt),
    TooLong,
}

impl Request {
    /// Where the run is.
    pub fn root(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// Runs it to its end, or until `enough` is over; how long that took.
    ///
    /// # Errors
    /// [`Interrupted`], or what went wrong, with the log's path. The child has ended in any case.
    pub async fn run(
        &self,
        interrupts: &mut mpsc::Receiver<Interrupt>,
        enough: impl Future<Output = ()>,
    ) -> Result<Duration> {
        let begin = Instant::now();
        let mut child = self.start()?;
        let end = watch(&mut child, interrupts, (enough, self.limit)).await?;
        let fault = match end {
            End::Exited(status) if status.success() => return Ok(begin.elapsed()),
            End::Enough => {
                stop(&mut child, interrupts).await;
                return Ok(begin.elapsed());
            }
            End::Exited(status) => self.failure(status),
            End::Interrupted(interrupt) => Interrupted(interrupt).into(),
            End::TooLong => {
                let (name, log) = (&self.name, self.log());
                let limit = humantime::format_duration(self.limit.unwrap_or_default());
                anyhow!("the run {name} took longer than {limit}: see its log {}", log.display())
            }
        };
        stop(&mut child, interrupts).await;
        Err(fault)
    }

    fn start(&self) -> Result<Child> {
        let cannot_write = |path: &Path| format!("cannot write {}", path.display());
        let arguments = match self.resumes {
            true => ["--resume".into(), self.root()],
            false => {
                let root = self.root();
                fs::create_dir(&root).with_context(|| {
                    format!("cannot create {} (does --keep name a folder in use?)", root.display())
                })?;
                let settings = self.folder.join(format!("{}.toml", self.name));
                fs::write(&settings, self.config.to_toml())
                    .with_context(|| cannot_write(&settings))?;
                ["--config".into(), settings]
            }
        };
        let log = File::create(self.log()).with_context(|| cannot_write(&self.log()))?;
        let program = std::env::current_exe().context("finding this program's own path")?;
        let mut command = Command::new(&program);
        // They have been read, and would go over the file.
        for variable in setting_variables() {
            command.env_remove(variable);
        }
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))
    }

    fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    fn failure(&self, status: ExitStatus) -> anyhow::Error {
        let log = self.log();
        let text = fs::read(&log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let said = text.lines().rev().find(|line| line.starts_with("error:")).unwrap_or_default();
        let (name, log) = (&self.name, log.display());
        anyhow!("the run {name} failed ({status}): see its log {log}\n{said}")
    }
}

/// Waits for the child while `enough` goes on.
async fn watch(
    child: &mut Child,
    interrupts: &mut mpsc::Receiver<Interrupt>,
    (enough, limit): (impl Future<Output = ()>, Option<Duration>),
) -> Result<End> {
    let too_long = async {
        match limit {
            Some(limit) => sleep(limit).await,
            None => pending().await,
        }
    };
    tokio::select! {
        status = child.wait() => Ok(End::Exited(status.context("waiting for a run")?)),
        Some(interrupt) = interrupts.recv() => Ok(End::Interrupted(interrupt)),
        () = too_long => Ok(End::TooLong),
        () = enough => Ok(End::Enough),
    }
}

/// Ends the child with its workers; another interrupt hurries it.
async fn stop(child: &mut Child, interrupts: &mut mpsc::Receiver<Interrupt>) {
    terminate(child);
    tokio::select! {
        _ = child.wait() => return,
        Some(_) = interrupts.recv() => {}
        () = sleep(STOP_GRACE) => {}
    }
    terminate(child);
    if timeout(END_GRACE, child.wait()).await.is_err() {
        child.kill().await.ok();
    }
}

/// Sends SIGTERM, unless it has ended.
fn terminate(child: &Child) {
    if let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) {
        kill(Pid::from_raw(id), Signal::SIGTERM).ok();
    }
}

/// Environment variables that give settings.
fn setting_variables() -> Vec<std::ffi::OsString> {
    let settings = Config::augment_args(clap::Command::new("settings"));
    let named = settings.get_arguments().filter_map(|arg| Some(arg.get_env()?.to_owned()));
    // Its runs are on this machine's loopback, open, whatever other coordinators are locked with.
    named.chain(DoorSettings::variables()).collect()
}
