//! What the membership's decisions come to: orders to workers, lines of the ledger, the meeting place of a generation,
//! the end of the run.
//!
//! `handle` passes every decision on, under its lock. Nothing here decides, and nothing waits.

use std::time::Duration;

use common::ids::Slot;
use common::status::ServiceError;
use proto::coordinator_message::Message;
use proto::{Abort, Evict, Goodbye, Halt, Start, Stop, Welcome};
use tokio::sync::{mpsc, watch};

use super::books::Books;
use super::links::Links;
use super::membership::{Begin, Decision, Membership, Outcome, SessionId};
use super::rendezvous::Rendezvous;
use super::translation::{contact, start_of};
use crate::run_directory::ledger::COMPLETE;

/// What decisions are made on, and carried out with, one at a time.
#[derive(Debug)]
pub struct State {
    /// Who decides.
    pub membership: Membership,
    /// The run's ledger.
    pub books: Books,
    /// The connections.
    pub links: Links,
    /// When the first generation began.
    pub training_since: Option<Duration>,
}

/// Where decisions lead beside that.
#[derive(Debug)]
pub struct Dispatch {
    /// What every worker is told when it is let in.
    pub welcome: Welcome,
    /// What every member is told at the start, but for its place.
    pub start: Start,
    /// The key-value store of the current generation.
    pub rendezvous: Rendezvous,
    /// How the run ended, once it has.
    pub outcome: watch::Sender<Option<Outcome>>,
    /// Slots that a worker is to be started for, and after how long.
    pub spawns: mpsc::UnboundedSender<(Slot, Duration)>,
}

impl Dispatch {
    /// Carries a decision out.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn carry_out(
        &self,
        state: &mut State,
        now: Duration,
        decision: Decision,
    ) -> Result<(), ServiceError> {
        let links = &mut state.links;
        match decision {
            Decision::Admit { session, slot } => return self.admit(state, session, slot),
            Decision::Refuse { session, error } => {
                match links.slot(session) {
                    Some(slot) => tracing::warn!(%slot, "worker refused: {error}"),
                    None => tracing::warn!("worker refused: {error}"),
                }
                links.answer(session, Err(error));
                links.close(session);
            }
            Decision::Ping { session } => links.ping(session),
            Decision::Contact { session, peers, every } => {
                links.send(session, Message::Contact(contact(peers, every)));
            }
            Decision::SetAside { slot, reason: Some(reason) } => {
                tracing::warn!(%slot, "worker set aside: {reason}");
            }
            Decision::SetAside { slot, reason: None } => {
                tracing::info!(%slot, "worker no longer set aside");
            }
            Decision::Begin(begin) => return self.begin(state, now, &begin),
            Decision::Halt { session, reason, at_once } => {
                let generation = state.membership.generation().0;
                links.send(session, Message::Halt(Halt { generation, reason, at_once }));
            }
            Decision::Stop { session, reason } => {
                links.send(session, Message::Stop(Stop { reason }));
            }
            Decision::Lost(loss) => {
                tracing::warn!(slot = %loss.slot, "worker lost: it {}", loss.cause);
                return state.books.lost(now, &loss);
            }
            Decision::Evict { session, reason } => {
                links.send(session, Message::Evict(Evict { reason }));
                links.close(session);
            }
            Decision::Abort { session, reason } => {
                links.send(session, Message::Abort(Abort { reason }));
                links.close(session);
            }
            Decision::Goodbye { session } => {
                links.send(session, Message::Goodbye(Goodbye {}));
                let slot = links.slot(session);
                links.close(session);
                return slot.map_or(Ok(()), |slot| state.books.let_go(slot));
            }
            Decision::Spawn { slot, delay } => {
                // Nobody listens where the coordinator starts no workers, or is ending.
                self.spawns.send((slot, delay)).ok();
            }
            Decision::End(outcome) => return self.end(state, outcome),
        }
        Ok(())
    }

    fn admit(&self, state: &mut State, session: SessionId, slot: Slot) -> Result<(), ServiceError> {
        let State { membership, books, links, .. } = state;
        links.answer(session, Ok(()));
        links.send(session, Message::Welcome(Welcome { slot: slot.0, ..self.welcome }));
        tracing::info!(%slot, "worker joined: {}", membership.reason());
        match links.settle(session, slot) {
            Some((identity, holds)) => books.joined(slot, identity, holds),
            None => Ok(()),
        }
    }

    fn begin(&self, state: &mut State, now: Duration, begin: &Begin) -> Result<(), ServiceError> {
        // On disk before any member hears of it.
        let beginning = state.books.begin(now, begin)?;
        self.rendezvous.open(begin.generation);
        state.training_since.get_or_insert(now);
        tracing::info!(
            generation = %begin.generation,
            world_size = %begin.world_size(),
            step = beginning.step,
            "generation started: {}",
            begin.cause
        );
        for place in &begin.members {
            let start = start_of(self.start.clone(), begin, place, &beginning);
            state.links.send(place.session, Message::Start(start));
        }
        Ok(())
    }

    fn end(&self, state: &State, outcome: Outcome) -> Result<(), ServiceError> {
        let reason = match &outcome {
            Outcome::Completed => COMPLETE,
            Outcome::Stopped { reason } | Outcome::Failed { reason, .. } => reason,
        };
        self.rendezvous.close(reason);
        let written = state.books.ended(reason);
        self.outcome.send_replace(Some(outcome));
        // The disk may be what ended it.
        if let Err(error) = written {
            tracing::warn!("{error}");
        }
        Ok(())
    }
}
