//! The ranks over TCP, through c10d's Gloo. Exchanges are plain sends and receives, so that every
//! rank learns which peer failed.
//!
//! Gloo's own collectives have no abort. Cutting the group's connections ends them all the same,
//! and most sends and receives with them, so that is what abort, failure and an early drop do. A
//! send to a peer that has closed its connection already is not woken by that: the wait for it is
//! ended by itself.

mod connect;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::ids::{Rank, WorldSize};
use tch::Tensor;

use super::abort::Cancel;
use super::failure::FirstFailure;
use super::pending::InFlight;
use super::request::require_peers;
use super::{AbortHandle, Collective, CollectiveError, PendingExchange};
use crate::bridge::BridgeError;
use crate::bridge::gloo::{Group, Seat, Tag, Work};

/// How much longer to wait for an all-reduce than Gloo itself, which says more about a failure.
const GRACE: Duration = Duration::from_secs(1);

/// One rank's connections to all others. Dropping it closes them; see [`Collective::leave`].
pub struct GlooCollective {
    shared: Arc<Shared>,
    seat: Seat,
    /// How many exchanges were started, here and so at every rank.
    exchanges: u64,
}

/// What pending exchanges and the abort handle reach beside the collective itself.
struct Shared {
    /// Locked to start operations, never while waiting; none once the collective is dropped.
    group: Mutex<Option<Group>>,
    failure: FirstFailure,
    /// The send or receive that the trainer waits for.
    awaited: Mutex<Option<Arc<Work>>>,
}

impl Collective for GlooCollective {
    fn rank(&self) -> Rank {
        self.seat.rank
    }

    fn world_size(&self) -> WorldSize {
        self.seat.world_size
    }

    fn exchange(
        &mut self,
        sends: Vec<(Rank, Tensor)>,
        receives: Vec<(Rank, Tensor)>,
    ) -> Result<PendingExchange, CollectiveError> {
        require_peers(self.seat.rank, self.seat.world_size, &sends)?;
        require_peers(self.seat.rank, self.seat.world_size, &receives)?;
        self.shared.check()?;
        let sequence = self.exchanges;
        self.exchanges += 1;
        let mut transfers = Transfers {
            shared: Arc::clone(&self.shared),
            works: Vec::with_capacity(sends.len() + receives.len()),
            timeout: self.seat.timeout,
            complete: false,
        };
        // Receives first: a send that finds its receive posted goes out without asking.
        transfers.start(&receives, |group, tensor, peer| {
            group.receive(tensor, peer, Tag::of(sequence, tensor))
        })?;
        transfers.start(&sends, |group, tensor, peer| {
            group.send(tensor, peer, Tag::of(sequence, tensor))
        })?;
        let received = receives.into_iter().map(|(_, tensor)| tensor).collect();
        Ok(PendingExchange::new(transfers, received))
    }

    fn all_reduce(&mut self, tensor: &mut Tensor) -> Result<(), CollectiveError> {
        self.shared.check()?;
        let timeout = self.seat.timeout;
        let started = self.shared.with_group(|group| group.all_reduce(tensor, timeout));
        let result = match started {
            Err(error @ BridgeError::Unsuitable { .. }) => return Err(error.into()),
            Err(error) => Err(error),
            Ok(work) => work.wait(timeout + GRACE),
        };
        result.map_err(|error| {
            self.shared.fail(CollectiveError::AllReduce { reason: message_of(error) })
        })
    }

    fn abort_handle(&self) -> AbortHandle {
        self.shared.failure.abort.clone()
    }
}

impl Drop for GlooCollective {
    fn drop(&mut self) {
        // Taken out first: closing may take a moment, and an abort must not wait for it.
        let group = self.shared.group().take();
        drop(group);
    }
}

impl Shared {
    /// Whether operations may still be started or waited for.
    fn check(&self) -> Result<(), CollectiveError> {
        self.failure.check()
    }

    /// Remembers what failed first, ends everything else, and says what the caller should report:
    /// an abort explains whatever broke because of it.
    fn fail(&self, error: CollectiveError) -> CollectiveError {
        let first = self.failure.remember(error);
        self.cancel();
        first
    }

    fn with_group<T>(
        &self,
        start: impl FnOnce(&Group) -> Result<T, BridgeError>,
    ) -> Result<T, BridgeError> {
        start(self.group().as_ref().expect("the collective that calls this is not dropped"))
    }

    /// Waits for a send or receive. An abort that came before is seen here, one that comes later sees
    /// what is awaited.
    fn wait(&self, work: &Arc<Work>, limit: Duration) -> Result<(), BridgeError> {
        *self.awaited() = Some(Arc::clone(work));
        if self.failure.abort.check().is_err() {
            work.abort()?;
        }
        let result = work.wait(limit);
        *self.awaited() = None;
        result
    }

    fn awaited(&self) -> MutexGuard<'_, Option<Arc<Work>>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn group(&self) -> MutexGuard<'_, Option<Group>> {
        self.group.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cancel for Shared {
    fn cancel(&self) {
        if let Some(Err(error)) = self.group().as_ref().map(Group::cut) {
            tracing::warn!(%error, "a process group's connections were not cut");
        }
        let awaited = self.awaited().clone();
        if let Some(Err(error)) = awaited.map(|work| work.abort()) {
            tracing::warn!(%error, "a wait for a peer was not ended");
        }
    }
}

/// The works of one exchange.
struct Transfers {
    shared: Arc<Shared>,
    works: Vec<(Rank, Arc<Work>)>,
    timeout: Duration,
    complete: bool,
}

impl Transfers {
    fn start(
        &mut self,
        list: &[(Rank, Tensor)],
        start: impl Fn(&Group, &Tensor, Rank) -> Result<Work, BridgeError>,
    ) -> Result<(), CollectiveError> {
        // Without bytes both sides know there is nothing to wait for.
        for (peer, tensor) in list.iter().filter(|(_, tensor)| tensor.numel() > 0) {
            match self.shared.with_group(|group| start(group, tensor, *peer)) {
                Ok(work) => self.works.push((*peer, Arc::new(work))),
                Err(error @ BridgeError::Unsuitable { .. }) => return Err(error.into()),
                Err(error) => {
                    let reason = message_of(error);
                    return Err(self
                        .shared
                        .fail(CollectiveError::PeerLost { rank: *peer, reason }));
                }
            }
        }
        Ok(())
    }
}

impl InFlight for Transfers {
    fn finish(mut self: Box<Self>) -> Result<(), CollectiveError> {
        self.shared.check()?;
        let started = Instant::now();
        for (peer, work) in &self.works {
            let left = self.timeout.saturating_sub(started.elapsed());
            self.shared.wait(work, left).map_err(|error| {
                let rank = *peer;
                self.shared.fail(if started.elapsed() < self.timeout {
                    CollectiveError::PeerLost { rank, reason: message_of(error) }
                } else {
                    CollectiveError::Timeout { rank, after: self.timeout }
                })
            })?;
        }
        self.complete = true;
        Ok(())
    }
}

impl Drop for Transfers {
    fn drop(&mut self) {
        if !self.complete && !self.works.is_empty() {
            let reason = "an exchange was dropped before it was complete".to_owned();
            self.shared.fail(CollectiveError::Aborted { reason });
        }
    }
}

/// What the engine says, without the places in its source where it says it.
fn message_of(error: BridgeError) -> String {
    match error {
        BridgeError::Torch { message, .. } => without_source_lines(&message),
        unsuitable => unsuitable.to_string(),
    }
}

/// Takes every "[…/file.cc:123] " out.
fn without_source_lines(message: &str) -> String {
    let is_source_line = |named: &str| {
        let place = named.rsplit_once(':').filter(|(file, _)| file.contains('.'));
        place.is_some_and(|(_, line)| line.parse::<u32>().is_ok())
    };
    let mut said = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(open) = rest.find('[') {
        let (before, bracketed) = rest.split_at(open);
        said.push_str(before);
        rest = match bracketed[1..].split_once(']') {
            Some((named, after)) if named.contains('/') && is_source_line(named) => {
                after.trim_start()
            }
            _ => {
                said.push('[');
                &bracketed[1..]
            }
        };
    }
    said.push_str(rest);
    said
}
