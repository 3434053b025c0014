//! A worker's place while its session lasts: whatever way the session ends, the membership hears of it.
//!
//! The session's task takes it when the worker says Hello, and holds it to the end.

use std::sync::Arc;

use common::ids::Slot;
use common::status::ServiceError;
use proto::{CoordinatorMessage, Hello};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::handle::Cluster;
use super::links::Opened;
use super::membership::{Event, Join, SessionId};
use super::translation::{held, identity};

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
    /// Lets a worker in, with the stream of its orders, or says why not; waits while the holder of its slot is probed.
    ///
    /// # Errors
    /// The refusal.
    pub async fn take(
        cluster: &Arc<Cluster>,
        hello: Hello,
    ) -> Result<(Self, mpsc::Receiver<CoordinatorMessage>), ServiceError> {
        let slot = hello.slot.map(Slot);
        let (held, identity) = (held(&hello), identity(&hello));
        let protocol_version = hello.protocol_version;
        let holds = held.as_ref().map(|held| held.reached.step);
        let opened = cluster.open_session(slot, identity.clone(), holds);
        let Opened { session, admission, orders, closing } = opened;
        // From here on the session ends with the seat, also where the worker leaves while it waits.
        let how = "ended its session".to_string();
        let seat = Self { cluster: Arc::clone(cluster), session, closing, how };
        cluster.apply(Event::Joined(Join { session, slot, protocol_version, identity, held }));
        let refused = || Err(ServiceError::Ending("the coordinator is ending".to_string()));
        let answer = admission.await.unwrap_or_else(|_| refused());
        if matches!(answer, Err(ServiceError::Complete(_))) {
            cluster.has_told_latecomer();
        }
        answer.map(|()| (seat, orders))
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
