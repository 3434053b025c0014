//! Where the ranks of a generation find each other's addresses, as [`super::gloo`] asks it while a group connects and
//! `crate::collective` before that. `crate::link` implements it over gRPC; nothing here calls C++.

use std::time::Duration;

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
