//! Places between two changes of the disk where a test ends the coordinator, as a kill would. Without a plan they do
//! nothing.
//!
//! `CONCENTRIC_CRASH_AT=7` ends it at the seventh place that it comes to.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::{Signal, raise};

/// Says at which place.
pub const VARIABLE: &str = "CONCENTRIC_CRASH_AT";

/// The places still to come, that one included.
static LEFT: LazyLock<Option<AtomicU64>> =
    LazyLock::new(|| std::env::var(VARIABLE).ok()?.parse().ok().map(AtomicU64::new));

/// The coordinator ends here, if that is the plan.
pub fn point() {
    if is_due() {
        end();
    }
}

/// Whether it ends at this place, for one that leaves something half done first.
pub fn is_due() -> bool {
    LEFT.as_ref().is_some_and(|left| left.fetch_sub(1, Ordering::Relaxed) == 1)
}

/// Ends it.
pub fn end() {
    // It cannot fail: the signal exists, and a process may send it to itself.
    let _ = raise(Signal::SIGKILL);
}
