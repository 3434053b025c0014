//! Work on all cores whose results come in order, few of them at a time.
//!
//! Called by [`super::survey`] and [`super::make`].

use std::sync::mpsc::sync_channel;
use std::thread;

/// Does `work` for each number below `count` on so many threads and hands the results to `take` in the order of the numbers.
/// Each thread is at most `room` results ahead.
///
/// # Errors
/// What `take` returned; then no more work is begun.
pub(super) fn in_order<T: Send, E>(
    count: usize,
    threads: usize,
    room: usize,
    work: impl Fn(usize) -> T + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E> {
    let work = &work;
    thread::scope(|scope| {
        let start = |thread: usize| {
            let (sender, receiver) = sync_channel(room);
            scope.spawn(move || {
                let mut results = (thread..count).step_by(threads).map(work);
                // Nobody takes them any more where `take` has failed.
                results.all(|result| sender.send(result).is_ok());
            });
            receiver
        };
        let receivers: Vec<_> = (0..threads).map(start).collect();
        for index in 0..count {
            // A thread that panicked sends nothing more, and its panic goes on at the end of the scope.
            let Ok(result) = receivers[index % threads].recv() else { break };
            take(index, result)?;
        }
        Ok(())
    })
}

/// As many threads as can run at once.
pub(super) fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn results_come_in_order() {
        for (count, threads) in [(0, 1), (1, 4), (100, 1), (100, 3)] {
            let work = |index: usize| {
                thread::sleep(Duration::from_micros((index as u64 * 7919) % 300));
                index * 2
            };
            let mut results = Vec::new();
            let take = |index, result| {
                results.push(result);
                if index == usize::MAX { Err(()) } else { Ok(()) }
            };
            in_order(count, threads, 2, work, take).unwrap();
            assert_eq!(results, (0..count).map(|index| index * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn nobody_runs_far_ahead_and_an_error_ends_it() {
        let begun = AtomicUsize::new(0);
        let work = |index: usize| {
            begun.fetch_add(1, Ordering::SeqCst);
            index
        };
        let take = |index: usize, _| {
            thread::sleep(Duration::from_millis(2));
            // In the channel of each of two threads, and in its hands.
            assert!(begun.load(Ordering::SeqCst) <= index + 2 * (3 + 2));
            if index == 20 { Err("enough") } else { Ok(()) }
        };
        assert_eq!(in_order(1000, 2, 3, work, take), Err("enough"));
        assert!(begun.load(Ordering::SeqCst) < 40);
    }
}
