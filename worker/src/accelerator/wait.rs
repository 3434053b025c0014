//! Waiting for what a device is asked for: an event is looked at, since it can be waited for without a limit alone.

use std::time::{Duration, Instant};

/// How long the host looks at an event without a pause, and how long it then pauses: a step takes longer.
const WATCH: Duration = Duration::from_micros(200);
const PAUSE: Duration = Duration::from_micros(50);

/// Looks until something is so, at most for `limit`; whether it is.
pub fn look_until<E>(
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
