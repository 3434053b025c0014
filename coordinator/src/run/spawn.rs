//! `--spawn`: workers on this machine, started with the run and ended with it.
//!
//! `run` starts them, again when `membership` says so, and ends them. Each has a process group of its own, so that a
//! Ctrl-C in the terminal reaches the coordinator alone, which stops the run in order. Workers that outlived a killed
//! coordinator are adopted by the next one. Dropping [`Workers`] kills whoever still lives.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use common::ids::Slot;
use common::launcher;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The worker's program.
pub const PROGRAM: &str = "worker";
/// From SIGTERM to SIGKILL.
const TERMINATION_GRACE: Duration = Duration::from_secs(5);
/// Lines of a worker's log that a failure's message shows.
const TAIL_LINES: usize = 12;
/// Between two looks at whether an adopted process still lives.
const ADOPTED_POLL: Duration = Duration::from_millis(200);

/// What to start.
#[derive(Clone, Debug)]
pub struct SpawnPlan {
    /// The worker's program.
    pub program: PathBuf,
    /// Where the coordinator listens.
    pub url: String,
    /// Variables that say how they are let in; the join token, where it is in no file, is in this process's own.
    pub access: Vec<(&'static str, PathBuf)>,
    /// Folder of their logs.
    pub logs: PathBuf,
}

/// A worker process that ended.
#[derive(Debug)]
pub struct WorkerExit {
    /// The slot that it was started for.
    pub slot: Slot,
    /// Its number.
    pub process: u32,
    /// A verb phrase: "exited with code 1".
    pub how: String,
}

/// Processes that were started and have not ended.
type Living = Arc<Mutex<BTreeMap<Slot, Pid>>>;

/// The started workers.
#[derive(Debug)]
pub struct Workers {
    plan: SpawnPlan,
    exits: mpsc::UnboundedSender<WorkerExit>,
    living: Living,
    /// Each waits for one process.
    waiting: JoinSet<()>,
}

impl Workers {
    /// None is started yet; `exits` hears of each that ends.
    ///
    /// # Errors
    /// The folder of their logs cannot be made.
    pub fn new(plan: SpawnPlan, exits: mpsc::UnboundedSender<WorkerExit>) -> Result<Self> {
        std::fs::create_dir_all(&plan.logs)
            .with_context(|| format!("cannot create {}", plan.logs.display()))?;
        Ok(Self { plan, exits, living: Arc::default(), waiting: JoinSet::new() })
    }

    /// Starts the worker of a slot, unless one lives: its end is what another waits for.
    ///
    /// # Errors
    /// The program or its log file cannot be opened.
    pub fn start(&mut self, slot: Slot) -> Result<()> {
        if lock(&self.living).contains_key(&slot) {
            return Ok(());
        }
        let child = start_one(&self.plan, slot)
            .with_context(|| format!("cannot start {}", self.plan.program.display()))?;
        let id = child.id().context("a process just started has an id")?;
        let pid = Pid::from_raw(i32::try_from(id).context("a process id fits 31 bits")?);
        lock(&self.living).insert(slot, pid);
        self.waiting.spawn(wait((slot, id), child, Arc::clone(&self.living), self.exits.clone()));
        tracing::debug!(%slot, process = id, "worker started");
        Ok(())
    }

    /// Takes on the worker of a slot that an earlier coordinator has started, if it lives.
    pub fn adopt(&mut self, slot: Slot, process: u32) -> bool {
        let Some(pid) = living_worker(slot, process) else {
            return false;
        };
        lock(&self.living).insert(slot, pid);
        self.waiting.spawn(watch(slot, pid, Arc::clone(&self.living), self.exits.clone()));
        tracing::info!(%slot, process, "a worker of the coordinator before lives: adopted");
        true
    }

    /// Waits `grace` for the processes of `members` to leave by themselves, then ends them: SIGTERM, 5 s later SIGKILL.
    /// Others are ended so at once: they would look for a coordinator that is gone.
    pub async fn end(mut self, members: BTreeSet<u32>, grace: Duration) {
        let mut strangers = JoinSet::new();
        strangers.spawn(end_strangers(Arc::clone(&self.living), members));
        if self.all_left(grace).await {
            return;
        }
        strangers.abort_all();
        signal(&self.living, Signal::SIGTERM, |_| true);
        if !self.all_left(TERMINATION_GRACE).await {
            signal(&self.living, Signal::SIGKILL, |_| true);
            self.all_left(TERMINATION_GRACE).await;
        }
    }

    /// The last lines of a worker's log, indented.
    pub fn log_tail(&self, slot: Slot) -> String {
        let text = std::fs::read(log_path(&self.plan.logs, slot)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
        tail.iter().map(|line| format!("\n  | {line}")).collect()
    }

    async fn all_left(&mut self, limit: Duration) -> bool {
        timeout(limit, async { while self.waiting.join_next().await.is_some() {} }).await.is_ok()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        signal(&self.living, Signal::SIGKILL, |_| true);
    }
}

async fn end_strangers(living: Living, members: BTreeSet<u32>) {
    let is_stranger = |pid: Pid| !members.contains(&pid.as_raw().unsigned_abs());
    signal(&living, Signal::SIGTERM, is_stranger);
    tokio::time::sleep(TERMINATION_GRACE).await;
    signal(&living, Signal::SIGKILL, is_stranger);
}

/// Sends a signal to the groups of those that are meant.
fn signal(living: &Living, signal: Signal, is_meant: impl Fn(Pid) -> bool) {
    // Only groups whose leader has not been waited for: their numbers cannot have been given to others.
    for (slot, pid) in lock(living).iter().filter(|(_, pid)| is_meant(**pid)) {
        if let Err(error) = killpg(*pid, signal) {
            tracing::debug!(%slot, %signal, "cannot signal a worker: {error}");
        }
    }
}

async fn wait(
    (slot, process): (Slot, u32),
    mut child: Child,
    living: Living,
    exits: mpsc::UnboundedSender<WorkerExit>,
) {
    let status = child.wait().await;
    lock(&living).remove(&slot);
    exits.send(WorkerExit { slot, process, how: describe(status) }).ok();
}

/// The same for a process that is not this one's child.
async fn watch(slot: Slot, pid: Pid, living: Living, exits: mpsc::UnboundedSender<WorkerExit>) {
    while is_worker(pid, slot) {
        tokio::time::sleep(ADOPTED_POLL).await;
    }
    lock(&living).remove(&slot);
    let process = pid.as_raw().unsigned_abs();
    exits.send(WorkerExit { slot, process, how: "ended".to_string() }).ok();
}

/// The process of a slot's worker on this machine, if it lives.
pub fn living_worker(slot: Slot, process: u32) -> Option<Pid> {
    let pid = i32::try_from(process).map(Pid::from_raw).ok()?;
    is_worker(pid, slot).then_some(pid)
}

/// Whether a process is a worker with this number, as far as its command line tells: numbers of processes are given
/// again.
fn is_worker(pid: Pid, slot: Slot) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    let is_program = words.first().is_some_and(|program| program.ends_with(PROGRAM.as_bytes()));
    let rank = slot.to_string();
    is_program && words.windows(2).any(|pair| pair[0] == b"--rank" && pair[1] == rank.as_bytes())
}

fn start_one(plan: &SpawnPlan, slot: Slot) -> Result<Child> {
    // A worker that takes another's place goes on with its log.
    let log = File::options().create(true).append(true).open(log_path(&plan.logs, slot))?;
    let mut command = Command::new(&plan.program);
    // What a launcher says of this process is not true of those that it starts.
    for variable in launcher::OF_ONE_PROCESS {
        command.env_remove(variable);
    }
    let child = command
        .args(["--rank", &slot.to_string()])
        .args(["--coordinator", &plan.url])
        .envs(plan.access.iter().map(|(name, path)| (name, path)))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    Ok(child)
}

/// Finds the worker's program beside `own` or in the folders of `search_path`.
///
/// # Errors
/// It is nowhere; says how to build it.
pub fn find_program(own: &Path, search_path: Option<&std::ffi::OsStr>) -> Result<PathBuf> {
    let beside = own.parent().map(|folder| folder.join(PROGRAM));
    let on_path = search_path.map(|path| std::env::split_paths(path).collect::<Vec<_>>());
    let on_path = on_path.unwrap_or_default().into_iter().map(|folder| folder.join(PROGRAM));
    let found = beside.into_iter().chain(on_path).find(|path| path.is_file());
    let Some(found) = found else {
        bail!(
            "--spawn needs the program `{PROGRAM}`, which is neither beside {} nor on PATH: build it with \
             `cargo build --release -p worker`, or start workers yourself with `worker`",
            own.display()
        );
    };
    Ok(found)
}

/// The address under which this machine reaches a listener.
pub fn url(scheme: &str, address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("{scheme}://{}", SocketAddr::new(ip, address.port()))
}

fn log_path(logs: &Path, slot: Slot) -> PathBuf {
    logs.join(format!("worker-{slot}.log"))
}

fn describe(status: io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => match status.code() {
            Some(code) => format!("exited with code {code}"),
            None => format!("was ended ({status})"),
        },
        Err(error) => format!("cannot be waited for: {error}"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Instant;

    use super::*;

    #[test]
    fn workers_reach_any_listener() {
        let check = |address: &str, expected: &str| {
            assert_eq!(url("http", address.parse().unwrap()), expected);
        };
        check("127.0.0.1:5", "http://127.0.0.1:5");
        check("0.0.0.0:5", "http://127.0.0.1:5");
        check("[::]:5", "http://[::1]:5");
        check("10.1.2.3:5", "http://10.1.2.3:5");
    }

    #[tokio::test]
    async fn only_members_may_leave_by_themselves() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join(PROGRAM);
        std::fs::write(&program, "#!/bin/sh\nexec sleep 1000\n").unwrap();
        std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let plan = SpawnPlan {
            program,
            url: "http://127.0.0.1:9".to_string(),
            access: Vec::new(),
            logs: folder.path().join("logs"),
        };
        let (exits, mut ended) = mpsc::unbounded_channel();
        let mut workers = Workers::new(plan, exits).unwrap();
        workers.start(Slot(0)).unwrap();
        workers.start(Slot(1)).unwrap();
        let member = lock(&workers.living)[&Slot(1)].as_raw().unsigned_abs();
        let grace = Duration::from_secs(3);
        let started = Instant::now();
        let end = tokio::spawn(workers.end(BTreeSet::from([member]), grace));
        assert_eq!(ended.recv().await.unwrap().slot, Slot(0));
        assert!(started.elapsed() < grace);
        assert_eq!(ended.recv().await.unwrap().slot, Slot(1));
        assert!(started.elapsed() >= grace);
        end.await.unwrap();
    }

    #[test]
    fn a_missing_program_says_how_to_build_it() {
        let error = find_program(Path::new("/nowhere/coordinator"), None).unwrap_err();
        assert!(error.to_string().contains("cargo build --release -p worker"), "{error}");
    }
}
