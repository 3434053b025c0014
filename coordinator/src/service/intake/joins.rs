//! How often workers may join: a bucket of joins for each caller's address, and one for each slot it asks for.
//!
//! `session` asks before the membership hears of a Hello. Joining costs a run something: a line in its ledger,
//! a ping, or a pause to regroup. All workers of a run may join at once, from one address, and all again after that.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use common::status::ServiceError;

use crate::door::pace::{Buckets, Rate};

/// Joins of one slot at once, and a second.
const OF_SLOT: Rate = Rate { burst: 10.0, per_second: 1.0 };
/// Joins at once beside those of all workers.
const SPARE: f64 = 64.0;
/// After so long all workers may join once more.
const ALL_AGAIN: f64 = 8.0;

/// Counts joins. A caller that joins too often keeps nobody else from joining.
#[derive(Debug)]
pub struct Joins {
    slots: u32,
    of_caller: Rate,
    buckets: Mutex<OfBoth>,
}

/// Those of callers, and of slots that callers ask for.
type OfBoth = (Buckets<IpAddr>, Buckets<(IpAddr, u32)>);

impl Joins {
    /// Those of a run with so many slots.
    pub fn new(slots: u32) -> Self {
        let all = f64::from(slots) + SPARE;
        let of_caller = Rate { burst: 2.0 * all, per_second: all / ALL_AGAIN };
        Self { slots, of_caller, buckets: Mutex::default() }
    }

    /// Counts a caller's wish for a slot, or for any. `now` never goes backwards.
    ///
    /// # Errors
    /// [`ServiceError::Unreachable`], which is tried again: it has joined too often just now.
    pub fn count(
        &self,
        now: Duration,
        caller: IpAddr,
        slot: Option<u32>,
    ) -> Result<(), ServiceError> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let (of_callers, of_slots) = &mut *buckets;
        // A slot that does not exist is refused for that.
        let slot = slot.filter(|slot| *slot < self.slots);
        let is_rare = of_callers.take(now, caller, self.of_caller)
            && slot.is_none_or(|slot| of_slots.take(now, (caller, slot), OF_SLOT));
        is_rare.then_some(()).ok_or_else(|| {
            let which = slot.map_or(String::new(), |slot| format!(", the last for slot {slot}"));
            ServiceError::Unreachable(format!(
                "too many joins from {caller} just now{which}: try again in a second"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const OTHER: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    fn joined(joins: &Joins, caller: IpAddr, slots: impl Iterator<Item = u32>) -> usize {
        slots.filter(|slot| joins.count(Duration::ZERO, caller, Some(*slot)).is_ok()).count()
    }

    #[test]
    fn all_workers_may_join_at_once_and_once_more() {
        let joins = Joins::new(10_000);
        assert_eq!(joined(&joins, CALLER, (0..10_000).chain(0..10_000)), 20_000);
    }

    #[test]
    fn who_joins_again_and_again_has_to_wait_and_nobody_else_has() {
        let joins = Joins::new(4);
        assert_eq!(joined(&joins, CALLER, std::iter::repeat_n(0, 50)), 10);
        joins.count(Duration::ZERO, CALLER, Some(1)).unwrap();
        joins.count(Duration::ZERO, OTHER, Some(0)).unwrap();
        let error = joins.count(Duration::from_millis(500), CALLER, Some(0)).unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
        joins.count(Duration::from_millis(1100), CALLER, Some(0)).unwrap();
    }

    #[test]
    fn slots_that_do_not_exist_cost_no_memory_and_end_too() {
        let joins = Joins::new(4);
        assert_eq!(joined(&joins, CALLER, 4..10_000), 136);
        assert_eq!(joins.buckets.lock().unwrap().1.kept(), 0);
    }
}
