//! How long a test waits.

use std::time::Duration;

use coordinator::cluster::membership::Timing;

/// Nothing here takes longer.
const HARD_LIMIT: Duration = Duration::from_secs(30);

/// Waits that a test has the patience for. Most simulated workers send no heartbeats.
/// Settings go over the first, the second and the last but one.
pub const TIMING: Timing = Timing {
    heartbeat_timeout: Duration::from_secs(60),
    pause_timeout: Duration::from_secs(60),
    probe_timeout: Duration::from_millis(400),
    leave_timeout: Duration::from_secs(2),
    rejoin_timeout: Duration::from_secs(60),
    stop_timeout: Duration::from_secs(2),
    latecomers_timeout: Duration::from_secs(2),
};

/// Ends a test that hangs.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HARD_LIMIT, future).await.expect("a step of the test took too long")
}
