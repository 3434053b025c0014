//! A worker that a test starts itself, as a user would on another machine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::processes::Mark;
use super::{Ending, Island, Run, programs};

/// Longest wait for a worker's end.
const LIMIT: Duration = Duration::from_secs(120);

/// A worker's process. Dropping it kills it.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    printed: PathBuf,
}

impl Worker {
    /// A worker of a run, with this `--rank`.
    pub fn join(run: &mut Run, rank: u32) -> Self {
        let address = run.address();
        Self::join_at(run, rank, &address)
    }

    /// A worker of a run that finds it at this address.
    pub fn join_at(run: &Run, rank: u32, address: &str) -> Self {
        Self::join_from(Command::new(programs::WORKER), run, rank, address)
    }

    /// A worker in a network of its own.
    pub fn join_from_island(island: &Island, run: &mut Run, rank: u32) -> Self {
        let address = run.address();
        Self::join_from(island.program(programs::WORKER), run, rank, &address)
    }

    /// A worker in a network of its own that finds the run at this address, with any rank.
    pub fn look_from_island(island: &Island, run: &Run, address: &str) -> Self {
        let folder = run.root.parent().expect("a run lies in a test's folder");
        let flags = ["--coordinator", address, "--parallel", "1"];
        Self::launch(island.program(programs::WORKER), folder, &run.mark, &flags)
    }

    fn join_from(program: Command, run: &Run, rank: u32, address: &str) -> Self {
        let folder = run.root.parent().expect("a run lies in a test's folder");
        let flags = ["--rank", &rank.to_string(), "--coordinator", address, "--parallel", "1"];
        Self::launch(program, folder, &run.mark, &flags)
    }

    /// A worker with these flags; what it prints goes to a new file in `folder`.
    pub fn start(folder: &Path, mark: &Mark, flags: &[&str]) -> Self {
        Self::start_with(folder, mark, flags, &[])
    }

    /// The same with variables.
    pub fn start_with(
        folder: &Path,
        mark: &Mark,
        flags: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let mut worker = Command::new(programs::WORKER);
        worker.envs(variables.iter().copied());
        Self::launch(worker, folder, mark, flags)
    }

    fn launch(mut command: Command, folder: &Path, mark: &Mark, flags: &[&str]) -> Self {
        let printed = folder.join(format!("worker-{}", Mark::new().name()));
        let output = File::create(&printed).unwrap();
        mark.put_on(&mut command);
        command.args(flags).stdout(output.try_clone().unwrap()).stderr(output);
        Self { child: command.spawn().unwrap(), printed }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// All that it has printed by now.
    pub fn printed(&self) -> String {
        fs::read_to_string(&self.printed).unwrap()
    }

    /// Waits until it has printed `text`.
    pub fn wait_for(&self, text: &str) {
        let started = Instant::now();
        while !self.printed().contains(text) {
            let printed = self.printed();
            assert!(started.elapsed() < LIMIT, "a worker does not say '{text}':\n{printed}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ending {
        let started = Instant::now();
        loop {
            let printed = self.printed();
            if let Some(status) = self.child.try_wait().unwrap() {
                let printed = fs::read_to_string(&self.printed).unwrap_or(printed);
                return Ending { code: status.code(), printed };
            }
            assert!(started.elapsed() < LIMIT, "a worker goes on and on:\n{printed}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
