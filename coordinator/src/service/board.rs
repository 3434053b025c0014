//! What the run has reported so far, for `status`, the progress display and the summary.
//!
//! `metrics` and `artifacts` write it; it is never consulted for a decision.

use std::sync::{Mutex, MutexGuard, PoisonError};

use common::metrics::{EpochMetrics, StepMetrics};

/// The newest of everything.
#[derive(Debug, Default)]
pub struct Board(Mutex<Record>);

/// What a [`Board`] shows.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The latest step's losses.
    pub last_step: Option<StepMetrics>,
    /// The latest epoch's means.
    pub last_epoch: Option<EpochMetrics>,
    /// The newest checkpoint, a path below the run directory.
    pub last_checkpoint: Option<String>,
    /// Steps that are done in it.
    pub checkpoint_step: u64,
    /// Training has diverged, which going on would repeat.
    pub diverged: bool,
    /// Steps that a resumed run had done before.
    pub first_step: u64,
    /// Epoch that a resumed run goes on in.
    pub first_epoch: u64,
}

impl Board {
    /// Begins with what a resumed run has done before.
    pub fn new(record: Record) -> Self {
        Self(Mutex::new(record))
    }

    /// A copy of everything.
    pub fn read(&self) -> Record {
        self.lock().clone()
    }

    /// Changes it.
    pub fn update(&self, change: impl FnOnce(&mut Record)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
