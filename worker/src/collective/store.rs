//! Where the ranks of a generation find each other's addresses. The worker's session implements it
//! over gRPC; [`super::MemoryStore`] serves ranks of one process.

use std::time::{Duration, Instant};

use super::{AbortHandle, CollectiveError};

/// How soon a wait for keys notices an abort.
const SLICE: Duration = Duration::from_millis(250);

/// Shared keys and values of one generation. Calls block and come from any thread.
pub trait KeyValueStore: Send + Sync {
    /// Stores a value, replacing an earlier one.
    ///
    /// # Errors
    ///
    /// If the store is out of reach.
    fn set(&self, key: &str, value: Vec<u8>) -> Result<(), StoreError>;

    /// Waits until every key is there and returns their values in the same order.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] after `timeout`, or if the store is out of reach.
    fn get(&self, keys: &[String], timeout: Duration) -> Result<Vec<Vec<u8>>, StoreError>;

    /// Adds to a counter that starts at zero and returns the sum.
    ///
    /// # Errors
    ///
    /// If the store is out of reach or the key holds something else.
    fn add(&self, key: &str, amount: i64) -> Result<i64, StoreError>;
}

/// Why a store did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nobody has set these keys in time: a rank is missing.
    #[error("nobody has set {} within {after:?}", keys.join(", "))]
    Missing {
        /// The keys that are not there.
        keys: Vec<String>,
        /// How long was waited.
        after: Duration,
    },
    /// The store cannot be used; says why.
    #[error("the key-value store failed: {0}")]
    Failed(String),
}

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
