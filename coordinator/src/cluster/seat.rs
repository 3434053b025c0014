//! A worker's place while its session lasts: whatever way the session ends, the membership hears of it.
//!
//! `cluster` gives it out, the session's task holds it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::handle::Cluster;
use super::membership::{Event, SessionId};

/// The session ends with it.
#[derive(Debug)]
pub struct Seat {
    cluster: Arc<Cluster>,
    /// Which session.
    pub session: SessionId,
    /// Cancelled when the coordinator ends the session.
    pub closing: CancellationToken,
    /// How the session ended, a verb phrase.
    how: String,
}

impl Seat {
    /// The place of a session that was just registered.
    pub fn new(cluster: Arc<Cluster>, session: SessionId, closing: CancellationToken) -> Self {
        Self { cluster, session, closing, how: "ended its session".to_string() }
    }

    /// Takes in what the worker says.
    pub fn apply(&self, event: Event) {
        self.cluster.apply(event);
    }

    /// Answers a heartbeat.
    pub fn confirm(&self) {
        self.cluster.confirm(self.session);
    }

    /// The worker is gone, and how.
    pub fn leave(mut self, how: String) {
        self.how = how;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.cluster.forget(self.session, std::mem::take(&mut self.how));
    }
}
