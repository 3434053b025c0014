//! The program as a process, as a user starts it.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::SMALL;

const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `probe` says something.
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The program in a process of its own, killed when the test ends.
pub struct Process(Child);

impl Process {
    pub fn start(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id() as i32), signal).unwrap();
    }

    /// How it ended, if it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    /// Exit code and everything it printed.
    pub fn end(mut self) -> (Option<i32>, String) {
        let status = eventually("the program's end", || self.status());
        (status.code(), self.printed())
    }

    /// Everything that it printed, once it has ended.
    pub fn printed(&mut self) -> String {
        let mut printed = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
        printed
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

pub fn arguments(root: &Path) -> Vec<String> {
    let fixed = ["--listen", "127.0.0.1:0", "--run-dir", root.to_str().unwrap()];
    fixed.iter().chain(&SMALL).map(|argument| (*argument).to_string()).collect()
}

/// The address that the log tells.
pub fn address(root: &Path) -> String {
    eventually("the address", || address_after(root, 0))
}

/// The address of the coordinator that was started in this folder after `earlier` others.
pub fn address_after(root: &Path, earlier: usize) -> Option<String> {
    let log = std::fs::read_to_string(root.join("coordinator.log")).ok()?;
    let rest = log.split("listening address=").nth(1 + earlier)?;
    let (address, _) = rest.split_once('\n')?;
    Some(format!("http://{}", address.split_whitespace().next()?))
}
