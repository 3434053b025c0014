//! Every process of a run, whoever started it: all inherit a variable that names the run.
//!
//! Process groups would not do: the coordinator gives each worker one of its own.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const VARIABLE: &str = "WORKER_TEST_RUN";

/// What the processes of one run have in common.
#[derive(Clone, Debug)]
pub struct Mark(String);

impl Mark {
    /// A mark that no other run has.
    pub fn new() -> Self {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let number = RUNS.fetch_add(1, Ordering::Relaxed);
        Self(format!("{}-{number}", std::process::id()))
    }

    /// The part that differs.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Marks a program, and keeps settings of whoever runs the tests away from it.
    pub fn put_on(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let launcher = [
                "RANK",
                "SLURM_PROCID",
                "OMPI_COMM_WORLD_RANK",
                "WORLD_SIZE",
                "MASTER_ADDR",
                "MASTER_PORT",
            ];
            if name.starts_with("CONCENTRIC_") && name != super::data::MNIST_DIR
                || launcher.contains(&name.as_str())
            {
                command.env_remove(name);
            }
        }
        // Also on a machine with a GPU, unless a test asks for it.
        command.env("CONCENTRIC_DEVICE", "cpu").env(VARIABLE, &self.0);
    }

    /// The living processes of the run whose command line has `words`, one after the other.
    pub fn living(&self, words: &[&str]) -> Vec<Pid> {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| self.is_on(*pid) && has_words(*pid, words)).map(Pid::from_raw).collect()
    }

    /// Ends all of them at once, as a power cut would.
    pub fn kill(&self) {
        // Again, for what was just being started.
        while let pids @ [_, ..] = self.living(&[]).as_slice() {
            for pid in pids {
                kill(*pid, Signal::SIGKILL).ok();
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    fn is_on(&self, pid: i32) -> bool {
        let own = format!("{VARIABLE}={}", self.0);
        // A process that has ended and was not waited for has no environment any more.
        let variables = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        variables.split(|byte| *byte == 0).any(|variable| variable == own.as_bytes())
    }
}

fn has_words(pid: i32, words: &[&str]) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    // Not each by itself: another rank's `--parallel 1` is not `--rank 1`.
    words.is_empty() || line.windows(words.len()).any(|found| found == words)
}
