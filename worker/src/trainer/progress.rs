//! What the trainer does at this moment, for the session's heartbeats.

use std::sync::{Arc, Mutex, PoisonError};

use common::ids::Generation;
use proto::Heartbeat;
use tokio::sync::Notify;

use crate::state::Position;

/// Shared between the trainer thread, which writes, and the session, which reads.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    shared: Arc<Mutex<Shared>>,
    /// Told of the first step of a generation, which the coordinator waits for.
    first_step: Arc<Notify>,
}

#[derive(Clone, Debug, Default)]
struct Shared {
    phase: &'static str,
    position: Position,
    /// Whether the generation has not yet committed a step.
    fresh: bool,
    /// Whether it has told of the state that it goes on from.
    told: bool,
    images_per_second: f64,
    collective_share: f64,
}

impl Progress {
    /// The trainer begins something else.
    pub fn enter(&self, phase: &'static str) {
        self.change(|shared| shared.phase = phase);
    }

    /// A generation begins; `committed` tells of the state it goes on from before it tells of a step.
    pub fn begin(&self) {
        self.change(|shared| {
            (shared.fresh, shared.told) = (true, false);
            // The state that it goes on from may be an earlier one.
            shared.position = Position::default();
        });
    }

    /// Steps up to this position are committed on every rank.
    pub fn committed(&self, position: Position) {
        let mut is_first = false;
        self.change(|shared| {
            is_first = shared.fresh && shared.told && position.step > shared.position.step;
            shared.told = true;
            shared.fresh &= !is_first;
            shared.position = position;
        });
        if is_first {
            self.first_step.notify_one();
        }
    }

    /// Waits for the first step of a generation.
    pub async fn first_step(&self) {
        self.first_step.notified().await;
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
