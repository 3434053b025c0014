//! What the trainer does at this moment, for the session's heartbeats.

use std::sync::{Arc, Mutex, PoisonError};

use common::ids::Generation;
use proto::Heartbeat;

use crate::state::Position;

/// Shared between the trainer thread, which writes, and the session, which reads.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Clone, Debug, Default)]
struct Shared {
    phase: &'static str,
    position: Position,
    images_per_second: f64,
    collective_share: f64,
}

impl Progress {
    /// The trainer begins something else.
    pub fn enter(&self, phase: &'static str) {
        self.change(|shared| shared.phase = phase);
    }

    /// A step was committed.
    pub fn committed(&self, position: Position) {
        self.change(|shared| shared.position = position);
    }

    /// New averages: global throughput, and the share of time spent waiting for peers.
    pub fn measured(&self, images_per_second: f64, collective_share: f64) {
        self.change(|shared| {
            shared.images_per_second = images_per_second;
            shared.collective_share = collective_share;
        });
    }

    /// The message that tells the coordinator.
    pub fn heartbeat(&self, generation: Generation) -> Heartbeat {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Heartbeat {
            generation: generation.0,
            phase: shared.phase.to_string(),
            epoch: shared.position.epoch.0,
            step: shared.position.step.0,
            images_per_second: shared.images_per_second,
            memory_bytes: resident_bytes(),
            collective_share: shared.collective_share,
        }
    }

    fn change(&self, change: impl FnOnce(&mut Shared)) {
        change(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Memory of this process that is in use, 0 where the system does not tell.
fn resident_bytes() -> u64 {
    const PAGE: u64 = 4096;
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    pages.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok()).unwrap_or(0) * PAGE
}
