//! A worker's share of the processors that it and its neighbours may use, and how its threads come to run on that alone.
//!
//! The session makes a [`Binding`] for each generation and the trainer's thread puts it into effect; threads that compute
//! little [`release`] themselves from it.

use std::fmt;
use std::ops::Range;

use clap::ValueEnum;
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::allotment::Allotment;
use super::topology;

/// `--cpu-bind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CpuBind {
    /// As cores, where there is one for each computing thread of each worker, and these are alike.
    Auto,
    /// To its share, which is less than one where there are more workers.
    Cores,
    /// To none: the system moves its threads.
    None,
}

/// A worker among those of its generation that share an allotment.
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

    /// How many logical shards it computes side by side, each with so many threads, on its part of so many cores: 1 or
    /// more.
    pub fn parallel(self, cores: usize, threads: usize) -> usize {
        (cores / (self.world_size * threads)).max(1)
    }

    /// Which of so many things are its own. Where they cannot be divided evenly neighbours share one.
    fn share(self, count: usize) -> Range<usize> {
        self.rank * count / self.world_size..((self.rank + 1) * count).div_ceil(self.world_size)
    }
}

/// Where a generation's threads compute.
#[derive(Clone, Debug)]
pub struct Binding {
    /// What was asked for.
    pub choice: CpuBind,
    /// What there is.
    pub allotment: Allotment,
    /// Who shares it.
    pub place: LocalPlace,
    /// How many threads compute on a CPU: none, where a GPU does.
    pub computing: usize,
}

impl Binding {
    /// Has this thread, and those that it will start, run on its worker's share alone; on which, unless that is all.
    ///
    /// # Errors
    /// The system does not let it.
    pub fn take_effect(&self) -> Result<Option<Cpus>, Errno> {
        let cpus = &self.allotment.cpus;
        let is_wanted = match self.choice {
            CpuBind::None => false,
            CpuBind::Auto => {
                let has_room = self.place.world_size * self.computing <= self.allotment.cores;
                // A control group that leaves less time than there are processors leaves it on any of them.
                has_room && self.allotment.cores == cpus.len() && topology::are_alike(cpus)
            }
            CpuBind::Cores => true,
        };
        let own = self.share();
        if !is_wanted || self.computing == 0 || own.len() == cpus.len() {
            return Ok(None);
        }
        let mut set = CpuSet::new();
        for cpu in &own {
            set.set(*cpu)?;
        }
        sched_setaffinity(Pid::from_raw(0), &set)?;
        Ok(Some(Cpus(own)))
    }

    /// Its processors: whole cores, where there is one for each worker.
    fn share(&self) -> Vec<usize> {
        let cores = topology::cores(&self.allotment.cpus);
        if cores.len() >= self.place.world_size {
            return cores[self.place.share(cores.len())].concat();
        }
        let cpus = cores.concat();
        cpus[self.place.share(cpus.len())].to_vec()
    }
}

/// Has this thread run wherever its process may, whatever its parent was bound to: it computes little.
pub fn release() {
    // The first thread is never bound. Where this fails the thread stays where it is, which costs nothing but time.
    let _ =
        sched_getaffinity(Pid::this()).and_then(|all| sched_setaffinity(Pid::from_raw(0), &all));
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
            [first, .., last] => format!("{first}-{last}"),
            one => one.iter().map(usize::to_string).collect(),
        });
        f.write_str(&rows.collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::super::allotment;
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
    fn shards_side_by_side_are_as_many_as_a_share_has_room_for() {
        let parallel =
            |world_size, cores, threads| LocalPlace::new(0, world_size).parallel(cores, threads);
        assert_eq!(parallel(1, 8, 1), 8);
        assert_eq!(parallel(2, 8, 1), 4);
        assert_eq!(parallel(3, 64, 2), 10);
        assert_eq!(parallel(4, 2, 1), 1);
        assert_eq!(parallel(1, 2, 16), 1);
    }

    #[test]
    fn who_is_told_nothing_is_alone() {
        let alone = LocalPlace::new(0, 1);
        assert_eq!(LocalPlace::new(0, 0), alone);
        assert_eq!(LocalPlace::new(3, 3), alone);
    }

    fn binding(choice: CpuBind, (rank, world_size): (u32, u32), computing: usize) -> Binding {
        let place = LocalPlace::new(rank, world_size);
        Binding { choice, allotment: Allotment::of_this_process(), place, computing }
    }

    /// A thread stays bound: each of these has its own.
    fn on_a_thread<T: Send>(check: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| scope.spawn(check).join().unwrap())
    }

    /// What a thread is bound to, and where one may run that it starts.
    fn bound(binding: &Binding) -> (Option<Cpus>, Vec<usize>) {
        on_a_thread(|| (binding.take_effect().unwrap(), on_a_thread(mask)))
    }

    fn mask() -> Vec<usize> {
        allotment::mask(Pid::from_raw(0))
    }

    #[test]
    fn a_bound_thread_and_those_it_starts_stay_on_their_share_until_they_are_released() {
        let all = mask();
        for rank in 0..2 {
            let binding = binding(CpuBind::Cores, (rank, 2), 1);
            let mut own = binding.share();
            let (cpus, mut theirs) = bound(&binding);
            assert_eq!(cpus.is_some(), own.len() < all.len());
            own.sort_unstable();
            theirs.sort_unstable();
            assert_eq!(theirs, own);
            let released = on_a_thread(|| {
                binding.take_effect().unwrap();
                release();
                mask()
            });
            assert_eq!(released, all);
        }
        assert_eq!(mask(), all);
    }

    #[test]
    fn nobody_is_bound_where_that_is_not_wanted_or_of_no_use() {
        let Allotment { cpus, cores } = Allotment::of_this_process();
        let is_bound = |choice, world_size, computing| {
            bound(&binding(choice, (0, world_size), computing)).0.is_some()
        };
        assert!(!is_bound(CpuBind::None, 2, 1));
        assert!(!is_bound(CpuBind::Cores, 1, 1));
        // A GPU computes.
        assert!(!is_bound(CpuBind::Cores, 2, 0));
        // Cores are short.
        assert!(!is_bound(CpuBind::Auto, 2, cores));
        let can_be = cores >= 2 && cores == cpus.len() && topology::are_alike(&cpus);
        assert_eq!(is_bound(CpuBind::Auto, 2, 1), can_be);
        // Time is short.
        let allotment = Allotment { cores: cores.saturating_sub(1), cpus };
        let throttled = Binding { allotment, ..binding(CpuBind::Auto, (0, 1), 1) };
        assert_eq!(bound(&throttled).0, None);
    }

    #[test]
    fn processors_are_shown_as_linux_does() {
        assert_eq!(Cpus(vec![9, 0, 1, 2, 5]).to_string(), "0-2,5,9");
    }
}
