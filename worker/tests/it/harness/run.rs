//! A run: the coordinator as a process, and the workers it starts.
//!
//! Whatever happens, a run ends within its limit and leaves no process behind.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::processes::Mark;
use super::turn::{Share, Turn};
use super::{Results, programs};

/// No run takes longer, even on a busy machine; most take seconds.
const LIMIT: Duration = Duration::from_secs(600);
/// Lines of each log that a failure shows.
const TAIL: usize = 25;

/// A coordinator's command line in the making.
#[derive(Debug)]
pub struct Launch {
    root: PathBuf,
    arguments: Vec<String>,
    fault: Option<String>,
    variables: Vec<(&'static str, String)>,
    share: Share,
}

impl Launch {
    /// A new run in `root`.
    pub fn new(root: &Path) -> Self {
        Self::with_root("--run-dir", root)
    }

    /// The run in `root`, to go on with.
    pub fn resume(root: &Path) -> Self {
        Self::with_root("--resume", root)
    }

    /// `coordinator verify`, whose runs are kept in `root`.
    pub fn verify(root: &Path) -> Self {
        Self::empty(root).with(&["verify", "--keep", &root.display().to_string()])
    }

    fn with_root(flag: &str, root: &Path) -> Self {
        Self::empty(root).with(&[flag, &root.display().to_string(), "--listen", "127.0.0.1:0"])
    }

    /// `coordinator replay` of the run in `run`; `root` is kept for what it computes.
    pub fn replay(run: &Path, root: &Path) -> Self {
        let paths = [run, root].map(|path| path.to_str().unwrap());
        Self::empty(root).with(&["replay", paths[0], "--keep", paths[1]])
    }

    fn empty(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
            arguments: Vec::new(),
            fault: None,
            variables: Vec::new(),
            share: Share::Whole,
        }
    }

    /// Adds flags.
    pub fn with(mut self, flags: &[&str]) -> Self {
        self.arguments.extend(flags.iter().map(|flag| (*flag).to_string()));
        self
    }

    /// Listening at another of this machine's addresses.
    pub fn listening_at(mut self, ip: &str) -> Self {
        let listen = self.arguments.iter_mut().find(|argument| *argument == "127.0.0.1:0");
        *listen.expect("every run listens") = format!("{ip}:0");
        self
    }

    /// With so many workers, which the coordinator starts.
    pub fn workers(self, count: u32) -> Self {
        self.with(&["--workers", &count.to_string(), "--spawn", "true"])
    }

    /// With a worker that ends at a planned place; see `worker::fault`.
    pub fn with_fault(mut self, plan: &str) -> Self {
        self.fault = Some(plan.to_string());
        self
    }

    /// With libtorch's kernels on `device`, as on a GPU.
    pub fn with_tensors_on(mut self, device: &str) -> Self {
        let engine = ("CONCENTRIC_ENGINE", "tensors".to_string());
        self.variables.extend([engine, ("CONCENTRIC_DEVICE", device.to_string())]);
        self
    }

    /// With variables for the workers that the coordinator starts.
    pub fn with_variables(mut self, variables: &[(&'static str, &str)]) -> Self {
        self.variables.extend(variables.iter().map(|(name, value)| (*name, (*value).to_string())));
        self
    }

    /// One worker, which computes in one thread: it has one logical shard, or takes tensors. Beside others of that kind.
    pub fn on_one_core(self) -> Self {
        self.beside_another().workers(1)
    }

    /// It leaves half of the machine to another, as it computes little or waits much.
    pub fn beside_another(mut self) -> Self {
        self.share = Share::Half;
        self
    }

    /// Starts it, when it is its turn.
    pub fn start(self) -> Run {
        let program = programs::coordinator();
        let turn = Turn::wait(self.share);
        let mark = Mark::new();
        let printed = self.root.with_extension(format!("printed-{}", mark.name()));
        let output = File::create(&printed).unwrap();
        let mut command = Command::new(program);
        mark.put_on(&mut command);
        command.envs(self.fault.iter().map(|plan| (worker::fault::VARIABLE, plan)));
        command.envs(self.variables);
        command.args(&self.arguments).stdout(output.try_clone().unwrap()).stderr(output);
        let child = command.spawn().unwrap();
        Run { child, mark, printed, root: self.root, started: Instant::now(), turn: Some(turn) }
    }

    /// Runs it to its end, which must be a good one.
    pub fn complete(self) -> Results {
        let mut run = self.start();
        let ending = run.wait();
        assert_eq!(ending.code, Some(0), "{}\n{}", ending.printed, run.report());
        Results::of(&run.root)
    }
}

/// A coordinator at work. Dropping it kills it and every worker.
#[derive(Debug)]
pub struct Run {
    child: Child,
    pub mark: Mark,
    printed: PathBuf,
    pub root: PathBuf,
    started: Instant,
    /// Given back once no process of the run is left.
    turn: Option<Turn>,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ending {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// All that it printed.
    pub printed: String,
}

impl Run {
    /// Waits until `probe` says something.
    pub fn wait_for<T>(&mut self, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
        loop {
            if let Some(found) = probe() {
                return found;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{status} before {what}\n{}", self.report());
            }
            self.check_limit(what);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until a line about `step` is in `metrics.jsonl`.
    pub fn wait_for_step(&mut self, step: u64) {
        let results = Results::of(&self.root);
        self.wait_for("a step", || {
            results.steps().iter().any(|line| line["step"] == step).then_some(())
        });
    }

    /// Where workers find it.
    pub fn address(&mut self) -> String {
        let log = self.root.join("coordinator.log");
        self.wait_for("the address", || {
            let log = fs::read_to_string(&log).ok()?;
            let (_, rest) = log.split_once("listening address=")?;
            Some(format!("http://{}", rest.split_once('\n')?.0.trim()))
        })
    }

    /// Sends a signal to the coordinator alone.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Ends the coordinator alone, as a crash would, and lets another take the run up, with these flags.
    pub fn replace_coordinator(&mut self, flags: &[&str]) {
        self.signal(Signal::SIGKILL);
        self.child.wait().unwrap();
        let root = self.root.display().to_string();
        let output = File::options().append(true).open(&self.printed).unwrap();
        let mut command = Command::new(programs::coordinator());
        self.mark.put_on(&mut command);
        command.args(["--resume", &root, "--listen", "127.0.0.1:0"]).args(flags);
        command.stdout(output.try_clone().unwrap()).stderr(output);
        self.child = command.spawn().unwrap();
    }

    /// The process of the worker with this rank.
    pub fn worker(&mut self, rank: u32) -> Pid {
        let rank = rank.to_string();
        let mark = self.mark.clone();
        self.wait_for("a worker", || mark.living(&["--rank", &rank]).first().copied())
    }

    /// Waits for the end of the coordinator; workers that it started must be gone then.
    pub fn wait(&mut self) -> Ending {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            self.check_limit("the run's end");
            std::thread::sleep(Duration::from_millis(5));
        };
        let left = self.mark.living(&[]);
        let printed = fs::read_to_string(&self.printed).unwrap();
        if self.is_spawning() {
            assert!(left.is_empty(), "{left:?} outlived their coordinator\n{}", self.report());
        }
        if left.is_empty() {
            self.turn = None;
        }
        Ending { code: status.code(), printed }
    }

    /// Whether workers are the coordinator's own, which must not outlive it.
    fn is_spawning(&self) -> bool {
        self.root.join("logs/worker-0.log").exists()
    }

    fn check_limit(&self, what: &str) {
        if self.started.elapsed() > LIMIT {
            let report = self.report();
            self.mark.kill();
            panic!("waited too long for {what}\n{report}");
        }
    }

    fn report(&self) -> String {
        tails(&[self.printed.clone(), self.root.join("logs")])
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.mark.kill();
        self.child.wait().ok();
    }
}

/// The last lines of files, and of the files in folders.
fn tails(paths: &[PathBuf]) -> String {
    let within = |path: &PathBuf| match fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(_) => vec![path.clone()],
    };
    let tail = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(TAIL)..].join("\n");
        format!("--- {}\n{last}\n", path.display())
    };
    paths.iter().flat_map(within).map(tail).collect()
}
