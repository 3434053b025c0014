//! The device of a rank, what it was asked for and what of that is not confirmed yet; and how it is waited for.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use common::config::Config;
use common::plan;

use crate::accelerator::Accelerator;
use crate::state::Position;

/// How long the host looks at an event without a pause, and how long it then pauses: a step takes longer.
const WATCH: Duration = Duration::from_micros(200);
const PAUSE: Duration = Duration::from_micros(50);

/// The device and what it was asked for.
pub struct DeviceRun {
    pub(super) accelerator: Accelerator,
    /// This rank's samples of the epoch that the steps asked for consume.
    pub(super) consumed: usize,
    /// What may go out once the steps after it are committed: the number of the next upload, and the position.
    pub(super) unconfirmed: VecDeque<(u64, Position)>,
    pub(super) last_commit: Instant,
}

impl DeviceRun {
    /// Nothing asked for yet.
    pub fn new(accelerator: Accelerator) -> Self {
        let last_commit = Instant::now();
        Self { accelerator, consumed: 0, unconfirmed: VecDeque::new(), last_commit }
    }
}

/// What a rank that computes the shards `owned` consumes in these steps of an epoch.
pub(super) fn own_samples(
    config: &Config,
    train_samples: usize,
    steps: Range<u64>,
    owned: &Range<usize>,
) -> usize {
    let sizes = (train_samples, config.batch_size as usize);
    plan::samples_of(steps, sizes, config.shard_count(), owned)
}

/// Looks until something is so, at most for `limit`; whether it is.
pub(super) fn look_until<E>(
    limit: Duration,
    mut is_so: impl FnMut() -> Result<bool, E>,
) -> Result<bool, E> {
    let started = Instant::now();
    while !is_so()? {
        let waited = started.elapsed();
        if waited > limit {
            return Ok(false);
        }
        if waited < WATCH { std::thread::yield_now() } else { std::thread::sleep(PAUSE) }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_come_is_waited_for_until_the_limit() {
        let limit = Duration::from_millis(30);
        let started = Instant::now();
        assert_eq!(look_until(limit, || Ok::<_, ()>(false)), Ok(false));
        assert!(started.elapsed() > limit);
        let mut looks = 0;
        let third = || {
            looks += 1;
            Ok::<_, ()>(looks == 3)
        };
        assert_eq!(look_until(Duration::from_secs(60), third), Ok(true));
        assert_eq!(look_until(limit, || Err("broken")), Err("broken"));
    }
}
