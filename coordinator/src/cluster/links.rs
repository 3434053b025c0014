//! The coordinator's ends of all sessions: what workers are answered and told, and where that ends.
//!
//! `dispatch` writes to them, under the lock of `handle`. Nobody is waited for: a worker that does not read its orders is
//! cut off, and told of.

use std::collections::HashMap;

use common::ids::Slot;
use common::status::ServiceError;
use proto::coordinator_message::Message;
use proto::{CoordinatorMessage, Ping};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::membership::{Identity, SessionId};

/// Orders that a worker may leave unread: beside the stations of a run's life, as many answered heartbeats.
const UNREAD_ORDERS: usize = 256;

/// All of them.
#[derive(Debug, Default)]
pub struct Links {
    open: HashMap<SessionId, Link>,
    sessions: u64,
    pings: u64,
    /// Sessions whose workers have left too many orders unread.
    clogged: Vec<SessionId>,
}

/// One of them.
#[derive(Debug)]
struct Link {
    /// Which it asks for, and from its admission on which it has.
    slot: Option<Slot>,
    identity: Identity,
    /// Steps done in the state that the worker says to hold.
    holds: Option<u64>,
    /// Answers the worker's Hello; gone once that is done.
    admission: Option<oneshot::Sender<Result<(), ServiceError>>>,
    /// Few and small: pings and the stations of a run's life.
    orders: mpsc::Sender<CoordinatorMessage>,
    /// Cancelled when the session is over for the coordinator.
    closing: CancellationToken,
}

/// The other end of a link.
#[derive(Debug)]
pub struct Opened {
    /// Which session.
    pub session: SessionId,
    /// The answer to its worker's Hello.
    pub admission: oneshot::Receiver<Result<(), ServiceError>>,
    /// What its worker is told.
    pub orders: mpsc::Receiver<CoordinatorMessage>,
    /// Cancelled when the session is over for the coordinator.
    pub closing: CancellationToken,
}

impl Links {
    /// Opens a session for a worker that asks for `slot`, or for any, and says to hold a state of so many steps.
    pub fn open(&mut self, slot: Option<Slot>, identity: Identity, holds: Option<u64>) -> Opened {
        let (answer, admission) = oneshot::channel();
        let (sender, orders) = mpsc::channel(UNREAD_ORDERS);
        let closing = CancellationToken::new();
        self.sessions += 1;
        let session = SessionId(self.sessions);
        let link = Link {
            slot,
            identity,
            holds,
            admission: Some(answer),
            orders: sender,
            closing: closing.clone(),
        };
        self.open.insert(session, link);
        Opened { session, admission, orders, closing }
    }

    /// The slot that a session has, or asks for.
    pub fn slot(&self, session: SessionId) -> Option<Slot> {
        self.open.get(&session).and_then(|link| link.slot)
    }

    /// Gives a session its slot; who its worker is, and the steps done in the state that it says to hold.
    pub fn settle(&mut self, session: SessionId, slot: Slot) -> Option<(&Identity, Option<u64>)> {
        let link = self.open.get_mut(&session)?;
        link.slot = Some(slot);
        Some((&link.identity, link.holds))
    }

    /// Answers a Hello, once.
    pub fn answer(&mut self, session: SessionId, answer: Result<(), ServiceError>) {
        let link = self.open.get_mut(&session);
        if let Some(admission) = link.and_then(|link| link.admission.take()) {
            admission.send(answer).ok();
        }
    }

    /// Tells a worker something.
    pub fn send(&mut self, session: SessionId, message: Message) {
        // A worker that is gone is noticed where its session is read.
        let Some(link) = self.open.get(&session) else { return };
        let sent = link.orders.try_send(CoordinatorMessage { message: Some(message) });
        if let Err(TrySendError::Full(_)) = sent {
            self.close(session);
            self.clogged.push(session);
        }
    }

    /// Asks a worker whether it is there.
    pub fn ping(&mut self, session: SessionId) {
        self.pings += 1;
        self.send(session, Message::Ping(Ping { nonce: self.pings }));
    }

    /// Ends the stream of orders after what is in it.
    pub fn close(&mut self, session: SessionId) {
        if let Some(link) = self.open.remove(&session) {
            link.closing.cancel();
        }
    }

    /// Sessions that were closed since this was asked last, because their workers do not read their orders.
    pub fn take_clogged(&mut self) -> Vec<SessionId> {
        std::mem::take(&mut self.clogged)
    }
}
