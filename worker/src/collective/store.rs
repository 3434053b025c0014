//! How a rank waits for what the others have put into the generation's store, without missing an abort.

use std::time::{Duration, Instant};

use super::{AbortHandle, CollectiveError};
use crate::bridge::rendezvous::{KeyValueStore, StoreError};

/// How soon a wait for keys notices an abort.
const SLICE: Duration = Duration::from_millis(250);

/// Waits for keys as [`KeyValueStore::get`] does, and for an abort too.
///
/// # Errors
/// The abort; inside, what the store says.
pub(super) fn wait_for(
    store: &dyn KeyValueStore,
    keys: &[String],
    timeout: Duration,
    abort: &AbortHandle,
) -> Result<Result<Vec<Vec<u8>>, StoreError>, CollectiveError> {
    let started = Instant::now();
    loop {
        abort.check()?;
        let left = timeout.saturating_sub(started.elapsed());
        match store.get(keys, left.min(SLICE)) {
            Err(StoreError::Missing { .. }) if started.elapsed() < timeout => {}
            Err(StoreError::Missing { keys, .. }) => {
                return Ok(Err(StoreError::Missing { keys, after: timeout }));
            }
            // A store that is cut off by the abort says something else of it.
            result => return abort.check().map(|()| result),
        }
    }
}
