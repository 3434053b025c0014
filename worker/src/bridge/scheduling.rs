//! How the system shares out cores among this process's threads.

/// Makes the calling thread, and those it starts, wait for their turn when they wake up, instead of taking the core from
/// whoever computes there. For threads that carry bytes: Gloo's wakes while the thread that sends holds a lock, and
/// having taken its core spins until it gets the lock; with four workers on two cores that was a quarter of all time.
/// Does nothing where the system knows no such thing.
pub fn yield_to_computation() {
    #[cfg(target_os = "linux")]
    {
        let parameters = libc::sched_param { sched_priority: 0 };
        // SAFETY: the parameters are a local that outlives the call, which changes this thread's class alone.
        let result =
            unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) };
        if result != 0 {
            // A sandbox may forbid it. Only speed is lost.
            tracing::debug!(error = %std::io::Error::last_os_error(), "cannot become a batch thread");
        }
    }
}
