//! Runs the logical shards a rank owns side by side on its cores.
//!
//! Which thread computes which shard does not matter to the result: a shard's kernels run on one thread at a time, each
//! with the same number of threads inside.

use rayon::ThreadPool;
use rayon::prelude::*;

/// The threads of one rank. The thread that makes the pool takes part in its work.
pub struct ShardPool {
    threads: ThreadPool,
}

impl ShardPool {
    /// A pool of `parallel` threads, each of whose kernels use `kernel_threads` threads inside.
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
