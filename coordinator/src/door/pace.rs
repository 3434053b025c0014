//! How often something may happen: a bucket for each of whoever does it, which fills again as time goes by.
//!
//! `arrivals` counts connections, `service::intake::joins` joins.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// Buckets that are looked through for full ones when they are more.
const MANY: usize = 4096;

/// How often.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// At once, after a long time without.
    pub burst: f64,
    /// On and on.
    pub per_second: f64,
}

/// What is left in each, and since when; one that is absent is full.
#[derive(Debug)]
pub struct Buckets<K>(HashMap<K, (f64, Duration)>);

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq> Buckets<K> {
    /// Whether it may happen once more, which is counted then. `now` never goes backwards.
    pub fn take(&mut self, now: Duration, key: K, rate: Rate) -> bool {
        let level = |(left, since): (f64, Duration)| {
            let refilled = now.saturating_sub(since).as_secs_f64() * rate.per_second;
            (left + refilled).min(rate.burst)
        };
        if self.0.len() > MANY {
            self.0.retain(|_, bucket| level(*bucket) < rate.burst);
        }
        let bucket = self.0.entry(key).or_insert((rate.burst, now));
        let left = level(*bucket);
        let is_enough = left >= 1.0;
        *bucket = (if is_enough { left - 1.0 } else { left }, now);
        is_enough
    }

    /// Buckets that are kept.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_buckets_are_forgotten() {
        let (mut buckets, rate) = (Buckets::default(), Rate { burst: 10.0, per_second: 1.0 });
        assert!((0..9_000).all(|key| buckets.take(Duration::ZERO, key, rate)));
        assert_eq!(buckets.kept(), 9_000);
        assert!(buckets.take(Duration::from_secs(100), 1, rate));
        assert_eq!(buckets.kept(), 1);
    }
}
