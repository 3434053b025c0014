//! How the ranks come together: on a thread of its own, because Gloo cannot be interrupted while it
//! waits for a rank that does not come.

use std::net::TcpListener;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, Weak};
use std::thread;

use super::{GRACE, GlooCollective, Shared, message_of};
use crate::bridge::BridgeError;
use crate::bridge::gloo::{Group, Seat};
use crate::bridge::scheduling::yield_to_computation;
use crate::collective::abort::Cancel;
use crate::collective::failure::FirstFailure;
use crate::collective::{AbortHandle, CollectiveError, KeyValueStore};

/// What ends the wait for a group.
enum Outcome {
    Connected(Result<Group, BridgeError>),
    Aborted,
}

/// Wakes the waiting thread on abort.
struct Wake(Sender<Outcome>);

impl Cancel for Wake {
    fn cancel(&self) {
        // Nobody listens any more: the wait has ended already.
        let _ = self.0.send(Outcome::Aborted);
    }
}

impl GlooCollective {
    /// Meets the other ranks through `store`, of which every generation has its own, and connects
    /// to each. Blocks, at most `seat.timeout` or until `abort`, which ends the collective later
    /// too. A connection attempt that was given up ends by itself and closes what it opened.
    ///
    /// # Errors
    ///
    /// [`CollectiveError::OwnAddress`] if `seat.address` is not this machine's;
    /// [`CollectiveError::Connect`] if a rank is missing or the store fails;
    /// [`CollectiveError::Aborted`].
    pub fn connect(
        store: Arc<dyn KeyValueStore>,
        seat: Seat,
        abort: AbortHandle,
    ) -> Result<Self, CollectiveError> {
        check_own_address(&seat.address)?;
        let group = wait_for_group(store, &seat, &abort)?;
        let shared = Arc::new(Shared {
            group: Mutex::new(Some(group)),
            failure: FirstFailure::none(abort.clone()),
            awaited: Mutex::new(None),
        });
        abort.register(Arc::downgrade(&shared) as Weak<dyn Cancel>);
        Ok(Self { shared, seat, exchanges: 0 })
    }
}

/// Gloo would say of it no more than that the ranks did not connect.
fn check_own_address(address: &str) -> Result<(), CollectiveError> {
    match TcpListener::bind((address, 0)) {
        Ok(_) => Ok(()),
        Err(error) => Err(CollectiveError::OwnAddress {
            address: address.to_string(),
            reason: error.to_string(),
        }),
    }
}

fn wait_for_group(
    store: Arc<dyn KeyValueStore>,
    seat: &Seat,
    abort: &AbortHandle,
) -> Result<Group, CollectiveError> {
    let failed = |reason| CollectiveError::Connect { world_size: seat.world_size.0, reason };
    let (sender, outcomes) = mpsc::channel();
    let wake = Arc::new(Wake(sender.clone()));
    abort.register(Arc::downgrade(&wake) as Weak<dyn Cancel>);
    let connecting = seat.clone();
    thread::Builder::new()
        .name("gloo-connect".into())
        .spawn(move || {
            // Gloo's own thread is started by this one and takes after it.
            yield_to_computation();
            let group = Group::connect(store, &connecting);
            // Nobody listens any more: the group is dropped, and with it its connections.
            let _ = sender.send(Outcome::Connected(group));
        })
        .map_err(|error| failed(format!("no thread for it: {error}")))?;
    match outcomes.recv_timeout(seat.timeout + GRACE) {
        Ok(Outcome::Connected(Ok(group))) => abort.check().map(|()| group),
        Ok(Outcome::Connected(Err(error))) => {
            abort.check()?;
            Err(failed(message_of(error)))
        }
        Ok(Outcome::Aborted) => {
            abort.check()?;
            unreachable!("the wait is interrupted by an abort only")
        }
        Err(RecvTimeoutError::Timeout) => Err(failed(format!("not within {:?}", seat.timeout))),
        Err(RecvTimeoutError::Disconnected) => Err(failed("the connecting thread died".into())),
    }
}
