//! Which of its machine's processors a worker computes on: its share, as the coordinator numbers the workers there.
//!
//! A share is a row of neighbours in the order of packages and cores: whole cores wherever there are enough. Which
//! processors compute does not matter to the result.

use std::fmt;
use std::ops::Range;

use clap::ValueEnum;
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// `--cpu-bind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CpuBind {
    /// As cores, where this worker computes on a CPU, there is one for each thread of each worker, and nobody else has
    /// bound it.
    Auto,
    /// To its share of the processors it may use, which is less than one where there are more workers.
    Cores,
    /// To none: the system moves its threads.
    None,
}

/// A worker among those of its generation that are on its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalPlace {
    rank: usize,
    world_size: usize,
}

impl LocalPlace {
    /// Of what the coordinator says. One that says nothing, or nonsense, is not believed: the worker is alone then.
    pub fn new(rank: u32, world_size: u32) -> Self {
        if rank < world_size {
            Self { rank: rank as usize, world_size: world_size as usize }
        } else {
            Self { rank: 0, world_size: 1 }
        }
    }

    /// How many logical shards this worker computes side by side, each with so many threads: 1 or more.
    pub fn parallel(self, threads: usize) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Who may use a part of the machine only has its share already.
        let shared_by = if cores < online() { 1 } else { self.world_size };
        (cores / (shared_by * threads)).max(1)
    }

    /// Which of so many processors are its own. Where they cannot be divided evenly neighbours share one.
    fn share(self, count: usize) -> Range<usize> {
        self.rank * count / self.world_size..((self.rank + 1) * count).div_ceil(self.world_size)
    }
}

/// Where a generation's threads compute.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// What was asked for.
    pub choice: CpuBind,
    /// Who shares the machine.
    pub place: LocalPlace,
    /// How many threads compute on a CPU: none, where a GPU does.
    pub computing: usize,
}

impl Binding {
    /// Has this thread, and those that it will start, run on its worker's share alone; on which, unless that is all.
    ///
    /// # Errors
    /// The system does not let it.
    pub fn take_effect(self) -> Result<Option<Cpus>, Errno> {
        if self.choice == CpuBind::None {
            return Ok(None);
        }
        let (allowed, online) = (allowed()?, online());
        let has_room = self.place.world_size * self.computing <= online;
        let is_free = self.computing > 0 && allowed.len() == online;
        if self.choice == CpuBind::Auto && !(has_room && is_free) {
            return Ok(None);
        }
        let own = &allowed[self.place.share(allowed.len())];
        if own.len() == allowed.len() {
            return Ok(None);
        }
        let mut set = CpuSet::new();
        for cpu in own {
            set.set(*cpu)?;
        }
        sched_setaffinity(Pid::from_raw(0), &set)?;
        Ok(Some(Cpus(own.to_vec())))
    }
}

/// Processors by their numbers.
#[derive(Debug, PartialEq, Eq)]
pub struct Cpus(Vec<usize>);

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut numbers = self.0.clone();
        numbers.sort_unstable();
        let rows = numbers.chunk_by(|one, next| one + 1 == *next);
        let rows = rows.map(|row| match row {
            [one] => one.to_string(),
            [first, .., last] => format!("{first}-{last}"),
            [] => String::new(),
        });
        f.write_str(&rows.collect::<Vec<_>>().join(","))
    }
}

/// The processors that this thread may run on, neighbours beside each other.
fn allowed() -> Result<Vec<usize>, Errno> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    let mut cpus: Vec<usize> =
        (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).collect();
    cpus.sort_by_cached_key(|&cpu| {
        (topology(cpu, "physical_package_id"), topology(cpu, "core_id"))
    });
    Ok(cpus)
}

/// A number of a processor's place; 0 where the system does not tell.
fn topology(cpu: usize, what: &str) -> u32 {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/{what}");
    std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or_default()
}

/// How many processors of this machine are switched on; 0 where the system does not tell.
fn online() -> usize {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    count_listed(text.trim())
}

/// How many numbers there are in a list of Linux's: `0-3,8`.
fn count_listed(text: &str) -> usize {
    let count = |row: &str| {
        let (first, last) = row.split_once('-').unwrap_or((row, row));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        Some((last + 1).saturating_sub(first))
    };
    text.split(',').filter_map(count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_alike_and_cover_all() {
        let shares = |world_size: u32, count| {
            let share = |rank| LocalPlace::new(rank, world_size).share(count);
            (0..world_size).map(share).collect::<Vec<_>>()
        };
        assert_eq!(shares(4, 8), [0..2, 2..4, 4..6, 6..8]);
        assert_eq!(shares(1, 8), vec![0..8]);
        // One and a half each: those in the middle share.
        assert_eq!(shares(2, 3), [0..2, 1..3]);
        assert_eq!(shares(3, 4), [0..2, 1..3, 2..4]);
        assert_eq!(shares(4, 2), [0..1, 0..1, 1..2, 1..2]);
        assert_eq!(shares(3, 1), [0..1, 0..1, 0..1]);
    }

    #[test]
    fn who_is_told_nothing_is_alone() {
        let alone = LocalPlace::new(0, 1);
        assert_eq!(LocalPlace::new(0, 0), alone);
        assert_eq!(LocalPlace::new(3, 3), alone);
        assert_eq!(alone.parallel(usize::MAX), 1);
    }

    #[test]
    fn a_bound_thread_and_those_it_starts_stay_on_their_share() {
        let all = allowed().unwrap();
        for rank in 0..2 {
            let place = LocalPlace::new(rank, 2);
            let own = all[place.share(all.len())].to_vec();
            // Each on a thread of its own: the binding stays.
            let check = move || {
                let binding = Binding { choice: CpuBind::Cores, place, computing: 1 };
                let bound = binding.take_effect().unwrap();
                let theirs = std::thread::spawn(allowed).join().unwrap().unwrap();
                (bound, theirs)
            };
            let (bound, theirs) = std::thread::spawn(check).join().unwrap();
            assert_eq!(theirs, own);
            assert_eq!(bound, (own.len() < all.len()).then_some(Cpus(own)));
        }
        assert_eq!(allowed().unwrap(), all);
    }

    #[test]
    fn nobody_is_bound_where_cores_are_short_or_somebody_else_has_done_it_or_a_gpu_computes() {
        let bind = |choice, world_size, computing| {
            let place = LocalPlace::new(0, world_size);
            Binding { choice, place, computing }.take_effect()
        };
        let bound = |choice, world_size, computing| {
            let bind = move || bind(choice, world_size, computing);
            std::thread::spawn(bind).join().unwrap().unwrap()
        };
        let cores = online();
        assert_eq!(bound(CpuBind::Auto, 2, cores), None);
        assert_eq!(bound(CpuBind::Auto, 2, 0), None);
        assert_eq!(bound(CpuBind::None, 2, 1), None);
        assert_eq!(bound(CpuBind::Cores, 1, 1), None);
        let is_free = allowed().unwrap().len() == cores;
        assert_eq!(bound(CpuBind::Auto, 2, 1).is_some(), is_free && cores >= 2);
        let twice = move || bind(CpuBind::Cores, 2, 1).and_then(|_| bind(CpuBind::Auto, 2, 1));
        assert_eq!(std::thread::spawn(twice).join().unwrap(), Ok(None));
    }

    #[test]
    fn numbers_are_listed_and_shown_as_linux_does() {
        assert_eq!(count_listed("0-3,8"), 5);
        assert_eq!(count_listed("0"), 1);
        assert_eq!(count_listed(""), 0);
        assert_eq!(Cpus(vec![9, 0, 1, 2, 5]).to_string(), "0-2,5,9");
    }
}
