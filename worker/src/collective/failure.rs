//! What went wrong first in an engine: everything later fails with it.

use std::sync::{Mutex, PoisonError};

use super::{AbortHandle, CollectiveError};

/// An engine's first failure, and the abort that explains it.
#[derive(Debug)]
pub struct FirstFailure {
    first: Mutex<Option<CollectiveError>>,
    /// Ends the engine from the session's side.
    pub abort: AbortHandle,
}

impl FirstFailure {
    /// None yet.
    pub fn none(abort: AbortHandle) -> Self {
        Self { first: Mutex::new(None), abort }
    }

    /// Whether operations may still be started or waited for.
    pub fn check(&self) -> Result<(), CollectiveError> {
        self.abort.check()?;
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.clone().map_or(Ok(()), Err)
    }

    /// Remembers what failed first, and says what the caller should report: an abort explains whatever broke because of
    /// it.
    pub fn remember(&self, error: CollectiveError) -> CollectiveError {
        let error = self.abort.check().err().unwrap_or(error);
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(error).clone()
    }
}
