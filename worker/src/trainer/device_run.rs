//! The device of a rank, what it was asked for and what of that is not confirmed yet.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

use common::config::Config;
use common::plan;

use crate::accelerator::Accelerator;
use crate::state::Position;

/// The device and what it was asked for.
pub struct DeviceRun {
    pub(super) accelerator: Accelerator,
    /// This rank's samples of the epoch that the steps asked for consume.
    pub(super) consumed: usize,
    /// What may go out once the steps after it are committed: the number of the next upload, and the position.
    pub(super) unconfirmed: VecDeque<(u64, Position)>,
    pub(super) last_commit: Instant,
}

impl DeviceRun {
    /// Nothing asked for yet.
    pub fn new(accelerator: Accelerator) -> Self {
        let last_commit = Instant::now();
        Self { accelerator, consumed: 0, unconfirmed: VecDeque::new(), last_commit }
    }
}

/// What a rank that computes the shards `owned` consumes in these steps of an epoch.
pub(super) fn own_samples(
    config: &Config,
    train_samples: usize,
    steps: Range<u64>,
    owned: &Range<usize>,
) -> usize {
    let sizes = (train_samples, config.batch_size as usize);
    plan::samples_of(steps, sizes, config.shard_count(), owned)
}
