//! How the ranks come together: the first one makes the communicator's unique id and leaves it in the store, all begin to
//! meet, and NCCL is looked at until they have.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use common::ids::{Rank, WorldSize};
use tch::Device;

use super::watch::{self, Watch};
use super::{NcclCollective, Shared};
use crate::bridge::nccl::{Communicator, Library, NcclError, Origin, UniqueId};
use crate::collective::abort::Cancel;
use crate::collective::failure::FirstFailure;
use crate::collective::store::wait_for;
use crate::collective::{AbortHandle, Collective, CollectiveError, GlooCollective, KeyValueStore};

/// Where the unique id is.
const KEY: &str = "nccl-unique-id";
/// Before an id in the store; before what went wrong instead of one.
const IS_ID: u8 = 1;
const IS_ERROR: u8 = 0;

impl NcclCollective {
    /// A new communicator of the ranks of `beside`, for tensors in the memory of `device`, which is the calling
    /// thread's. Every generation has a store of its own, and so a communicator. Blocks, at most `timeout` or until
    /// `beside` is aborted, which ends this one later too.
    ///
    /// # Errors
    /// [`CollectiveError::Unusable`] if NCCL does not work on this rank or the first; [`CollectiveError::Connect`] if a
    /// rank is missing or lost; [`CollectiveError::Aborted`].
    pub fn connect(
        library: &Arc<Library>,
        store: &dyn KeyValueStore,
        (device, timeout): (Device, Duration),
        beside: GlooCollective,
    ) -> Result<Self, CollectiveError> {
        let (rank, world_size) = (beside.rank(), beside.world_size());
        let abort = beside.abort_handle();
        let id = match rank {
            Rank::FIRST => announce(library, store, world_size),
            _ => await_id(store, (timeout, world_size), &abort),
        }?;
        let communicator = Communicator::begin(library, id, (rank, world_size))
            .map_err(|error| refused(&error, world_size))?;
        let shared = Arc::new(Shared {
            communicator: Mutex::new(Some(communicator)),
            failure: FirstFailure::none(abort.clone()),
            watch: Watch::default(),
            timeout,
            is_recording: AtomicBool::new(false),
        });
        watch::start(Arc::clone(&shared), device).map_err(|error| CollectiveError::Unusable {
            reason: format!("no thread for NCCL: {error}"),
        })?;
        abort.register(Arc::downgrade(&shared) as Weak<dyn Cancel>);
        // From here on dropping it ends the communicator.
        let made = Self { shared, beside, device, recorded: 0, has_left: false };
        made.shared.until_connected(world_size)?;
        Ok(made)
    }
}

impl Shared {
    fn until_connected(&self, world_size: WorldSize) -> Result<(), CollectiveError> {
        let is_done = || {
            let mut communicator = self.communicator();
            let Some(communicator) = &mut *communicator else { return Ok(true) };
            match communicator.progress() {
                Ok(progress) => Ok(progress == crate::bridge::nccl::Progress::Done),
                Err(error) => Err(refused(&error, world_size)),
            }
        };
        self.until(is_done).map_err(|error| match error {
            CollectiveError::Unanswered { after } => CollectiveError::Connect {
                world_size: world_size.0,
                reason: format!("not within {after:?}"),
            },
            error => self.failure.abort.check().err().unwrap_or(error),
        })
    }
}

/// The first rank's part: the id, or why there is none, for all to know.
fn announce(
    library: &Library,
    store: &dyn KeyValueStore,
    world_size: WorldSize,
) -> Result<UniqueId, CollectiveError> {
    let made = library.unique_id();
    let value = match &made {
        Ok(id) => [&[IS_ID][..], &id.0].concat(),
        Err(error) => [&[IS_ERROR][..], error.to_string().as_bytes()].concat(),
    };
    let stored = store.set(KEY, value);
    let id = made.map_err(|error| refused(&error, world_size))?;
    stored.map_err(|error| CollectiveError::Connect {
        world_size: world_size.0,
        reason: error.to_string(),
    })?;
    Ok(id)
}

/// The other ranks' part.
fn await_id(
    store: &dyn KeyValueStore,
    (timeout, world_size): (Duration, WorldSize),
    abort: &AbortHandle,
) -> Result<UniqueId, CollectiveError> {
    let failed = |reason| CollectiveError::Connect { world_size: world_size.0, reason };
    let values = wait_for(store, &[KEY.to_string()], timeout, abort)?
        .map_err(|error| failed(error.to_string()))?;
    match values.first().and_then(|value| value.split_first()) {
        Some((&IS_ID, id)) => {
            id.try_into().map(UniqueId).map_err(|_| failed("the unique id is cut".to_string()))
        }
        Some((_, text)) => {
            let reason = format!("on rank 0: {}", String::from_utf8_lossy(text));
            Err(CollectiveError::Unusable { reason })
        }
        None => Err(failed("the unique id is empty".to_string())),
    }
}

/// What a failure before the first exchange means: that a peer is out of reach, or that NCCL does not work here.
fn refused(error: &NcclError, world_size: WorldSize) -> CollectiveError {
    let reason = error.to_string();
    match error.origin {
        Origin::Peer | Origin::System => {
            CollectiveError::Connect { world_size: world_size.0, reason }
        }
        Origin::Rank => CollectiveError::Unusable { reason },
    }
}
