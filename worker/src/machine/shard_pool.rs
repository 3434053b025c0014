//! Runs the logical shards a rank owns side by side on its cores.
//!
//! Which thread computes which shard, and with how many others, does not matter to the result.

use engine::Threads;
use rayon::ThreadPool;
use rayon::prelude::*;

/// The threads of one rank. The thread that makes the pool takes part in its work.
pub struct ShardPool {
    threads: ThreadPool,
}

impl ShardPool {
    /// A pool of `parallel` threads, each of which libtorch's kernels divide among so many further ones.
    ///
    /// # Errors
    /// The system gives no more threads, or this thread belongs to a pool already.
    pub fn new(parallel: usize, kernel_threads: u32) -> Result<Self, rayon::ThreadPoolBuildError> {
        let kernel_threads = i32::try_from(kernel_threads).unwrap_or(i32::MAX);
        tch::set_num_threads(kernel_threads);
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(parallel.max(1))
            .thread_name(|index| format!("shard-{index}"))
            // libtorch counts threads per thread that asks.
            .start_handler(move |_| tch::set_num_threads(kernel_threads))
            .use_current_thread()
            .build()?;
        Ok(Self { threads })
    }

    /// What each of so many shards may use that are computed side by side.
    pub fn share(&self, shards: usize) -> Share {
        Share { threads: self.threads.current_num_threads().div_ceil(shards.max(1)) }
    }

    /// Calls `work` on the pool, where it can be divided further.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.threads.install(work)
    }

    /// Applies `compute` to every item, in parallel; the results in the items' order.
    ///
    /// # Errors
    /// The first error of an item.
    pub fn map<S, R, E>(
        &self,
        items: &mut [S],
        compute: impl Fn(&mut S) -> Result<R, E> + Sync,
    ) -> Result<Vec<R>, E>
    where
        S: Send,
        R: Send,
        E: Send,
    {
        let compute = &compute;
        self.threads.install(|| items.par_iter_mut().with_max_len(1).map(compute).collect())
    }
}

/// A part of a pool's threads, for work that is done on the pool.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    threads: usize,
}

impl Threads for Share {
    fn count(&self) -> usize {
        self.threads
    }

    fn each(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        (0..parts).into_par_iter().with_max_len(1).for_each(work);
    }
}
