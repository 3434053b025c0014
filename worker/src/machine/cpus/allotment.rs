//! What of its machine a process may use: all of it, or what a mask (`taskset`, a cpuset) and a control group's quota
//! leave.

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use sha2::{Digest, Sha256};

use crate::machine::hardware;

/// What this process may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allotment {
    /// Processors by their numbers; none where the system does not tell.
    pub cpus: Vec<usize>,
    /// How many of them it may use at a time.
    pub cores: usize,
}

impl Allotment {
    /// As the process was started, whatever its threads are bound to.
    pub fn of_this_process() -> Self {
        let cpus = mask(Pid::this());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { cpus, cores }
    }

    /// A name that those have in common who share it, as a rule nobody else; empty where this machine has none.
    pub fn name(&self) -> String {
        let machine = hardware::machine();
        if machine.is_empty() {
            return machine;
        }
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        // Each has its own part of the time where there is a quota, as a rule.
        let group = match self.cores < self.cpus.len() {
            true => format!(
                "{}{:?}",
                read("/proc/self/cgroup"),
                std::fs::read_link("/proc/self/ns/cgroup")
            ),
            false => String::new(),
        };
        let digest = Sha256::digest(format!("{machine} {:?} {group}", self.cpus));
        common::hexadecimal(&digest[..16])
    }
}

/// The processors that a thread may run on; none where the system does not tell, as with more than it has room for.
pub(super) fn mask(thread: Pid) -> Vec<usize> {
    let Ok(set) = sched_getaffinity(thread) else { return Vec::new() };
    (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_with_the_same_processors_have_the_same_name() {
        if hardware::machine().is_empty() {
            eprintln!("skipped: this machine has no name");
            return;
        }
        let name = |cpus: &[usize], cores| Allotment { cpus: cpus.to_vec(), cores }.name();
        assert_eq!(name(&[0, 1], 2), name(&[0, 1], 2));
        assert_ne!(name(&[0, 1], 2), name(&[2, 3], 2));
        // A quota belongs to a control group, not to all on these processors.
        assert_ne!(name(&[0, 1], 2), name(&[0, 1], 1));
        assert_eq!(name(&[0, 1], 2).len(), 32);
    }
}
