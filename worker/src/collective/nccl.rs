//! The ranks' GPUs, through NCCL. Exchanges are put into the stream of the trainer's thread, which goes on at once: what
//! arrives is there for whatever is put into the stream afterwards. Tensors in the CPU's memory go through a Gloo group
//! beside it.
//!
//! Nothing is waited for without an end. A call is looked at until NCCL has put it into the stream, at most for the
//! group's timeout; `watch` sees to it that the stream gets past it in time, and ends a communicator that does not, or
//! that is aborted. NCCL does not say which rank is lost; the coordinator knows.

mod connect;
mod find;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod two_on_one_gpu;
mod watch;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::ids::{Rank, WorldSize};
use tch::{Device, Tensor};

use super::abort::Cancel;
use super::failure::FirstFailure;
use super::pending::InFlight;
use super::request::require_peers;
use super::{
    AbortHandle, Collective, CollectiveError, GlooCollective, PendingExchange, Recordable,
};
use crate::bridge::device::Event;
use crate::bridge::nccl::{Communicator, ExchangeError, NcclError, Origin, Place, Progress};
pub use find::find;
use watch::Watch;

/// A variable for tests: lets `--collective nccl` stand where no GPU is, with a library in NCCL's place that takes the
/// CPU's memory. NCCL itself refuses that memory.
pub const ON_CPU_VARIABLE: &str = "CONCENTRIC_NCCL_ON_CPU";

/// How long a call in the background is looked at without a pause, and how long the pauses are then.
const LOOK: Duration = Duration::from_micros(200);
const PAUSE: Duration = Duration::from_micros(50);

/// Tensors, each with the peer that it goes to or comes from.
type Addressed = Vec<(Rank, Tensor)>;

/// One rank's end of a communicator. Dropping it ends the communicator; see [`Collective::leave`].
pub struct NcclCollective {
    shared: Arc<Shared>,
    /// For tensors in the CPU's memory.
    beside: GlooCollective,
    device: Device,
    /// Exchanges of a recorded step.
    recorded: u64,
    /// No rank needs this one any more.
    has_left: bool,
}

/// What pending exchanges, the abort handle and the watching thread reach beside the collective itself.
struct Shared {
    /// Locked for calls, which return at once; none once it has ended.
    communicator: Mutex<Option<Communicator>>,
    failure: FirstFailure,
    watch: Watch,
    timeout: Duration,
    /// While a step is recorded: nothing of it is made, but for being put into the recording. Set by the trainer alone.
    is_recording: AtomicBool,
}

impl Collective for NcclCollective {
    fn rank(&self) -> Rank {
        self.beside.rank()
    }

    fn world_size(&self) -> WorldSize {
        self.beside.world_size()
    }

    fn exchange(
        &mut self,
        sends: Vec<(Rank, Tensor)>,
        receives: Vec<(Rank, Tensor)>,
    ) -> Result<PendingExchange, CollectiveError> {
        require_peers(self.rank(), self.world_size(), &sends)?;
        require_peers(self.rank(), self.world_size(), &receives)?;
        self.shared.check()?;
        let received = receives.iter().map(|(_, tensor)| tensor.shallow_clone()).collect();
        let (sends, other_sends) = self.split(sends);
        let (receives, other_receives) = self.split(receives);
        let beside = if self.shared.is_recording() {
            self.recorded += 1;
            for (_, tensor) in other_sends.iter().chain(&other_receives) {
                self.require_recordable(tensor)?;
            }
            PendingExchange::complete()
        } else {
            // Also with nothing to send: the other group counts its exchanges, the same number on every rank.
            self.beside.exchange(other_sends, other_receives)?
        };
        if !sends.is_empty() || !receives.is_empty() {
            self.run(|communicator, place| communicator.exchange(place, &sends, &receives))?;
        }
        let shared = Arc::clone(&self.shared);
        Ok(PendingExchange::new(Enqueued { shared, beside: Some(beside) }, received))
    }

    fn all_reduce(&mut self, tensor: &mut Tensor) -> Result<(), CollectiveError> {
        if tensor.device() != self.device {
            self.require_recordable(tensor)?;
            return self.beside.all_reduce(tensor);
        }
        self.shared.check()?;
        self.run(|communicator, place| communicator.all_reduce(place, tensor))
    }

    fn check(&self) -> Result<(), CollectiveError> {
        self.shared.check()?;
        self.shared.progress().map(|_| ())
    }

    fn recordable(&self) -> Recordable {
        Recordable::IfRequired
    }

    fn set_recording(&mut self, recording: bool) {
        self.shared.is_recording.store(recording, Ordering::Relaxed);
        if recording {
            self.recorded = 0;
        }
    }

    fn replayed(&mut self) -> Result<(), CollectiveError> {
        self.shared.check()?;
        for _ in 0..self.recorded {
            self.beside.exchange(Vec::new(), Vec::new())?.wait()?;
        }
        self.shared.watch.add(Event::record(self.device)?);
        Ok(())
    }

    fn abort_handle(&self) -> AbortHandle {
        self.shared.failure.abort.clone()
    }

    fn barrier(&mut self) -> Result<(), CollectiveError> {
        self.settle()?;
        self.beside.barrier()
    }

    fn leave(&mut self) -> Result<(), CollectiveError> {
        self.settle()?;
        self.beside.leave()?;
        self.has_left = true;
        Ok(())
    }
}

impl NcclCollective {
    /// What lies on the device and has bytes, then what is for the other group.
    fn split(&self, list: Addressed) -> (Addressed, Addressed) {
        let (mut own, other): (Vec<_>, Vec<_>) =
            list.into_iter().partition(|(_, tensor)| tensor.device() == self.device);
        // Without bytes both sides know there is nothing to wait for.
        own.retain(|(_, tensor)| tensor.numel() > 0);
        (own, other)
    }

    /// A recording holds what the device does, and nothing of what goes through the CPU's memory.
    fn require_recordable(&self, tensor: &Tensor) -> Result<(), CollectiveError> {
        if !self.shared.is_recording() || tensor.device() == self.device {
            return Ok(());
        }
        Err(CollectiveError::Unsuitable(format!(
            "a recorded exchange takes tensors on {:?}, not on {:?}",
            self.device,
            tensor.device()
        )))
    }

    /// Makes a call, and sees it put into the stream.
    fn run(
        &self,
        start: impl FnOnce(&mut Communicator, Place) -> Result<(), ExchangeError>,
    ) -> Result<(), CollectiveError> {
        let place = Place::current(self.device)?;
        let started = match &mut *self.shared.communicator() {
            Some(communicator) => start(communicator, place),
            None => return Err(self.shared.ended()),
        };
        match started {
            Ok(()) => {}
            Err(ExchangeError::Unsuitable(error)) => return Err(error.into()),
            Err(ExchangeError::Nccl(error)) => return Err(self.shared.fail_by(error)),
        }
        self.shared.until_done()?;
        // What is recorded runs later; nothing may be asked of its stream meanwhile.
        if !self.shared.is_recording() {
            self.shared.watch.add(Event::record(self.device)?);
        }
        Ok(())
    }

    /// Waits until the stream is past everything so far.
    fn settle(&self) -> Result<(), CollectiveError> {
        let event = Event::record(self.device)?;
        self.shared.until(|| Ok(event.is_reached()?))
    }
}

impl Drop for NcclCollective {
    fn drop(&mut self) {
        self.shared.watch.end(self.has_left && self.shared.check().is_ok());
    }
}

impl Shared {
    /// Whether calls may still be made.
    fn check(&self) -> Result<(), CollectiveError> {
        self.failure.check()
    }

    /// Remembers what failed first, ends everything else, and says what the caller should report: an abort explains
    /// whatever broke because of it.
    fn fail(&self, error: CollectiveError) -> CollectiveError {
        let first = self.failure.remember(error);
        self.cancel();
        first
    }

    /// The same for what NCCL says. A recording fails for a reason of its own unless a peer is to blame: another
    /// generation would meet it again.
    fn fail_by(&self, error: NcclError) -> CollectiveError {
        let reason = error.to_string();
        self.fail(match error.origin {
            Origin::System | Origin::Rank if self.is_recording() => {
                CollectiveError::NotRecorded { reason }
            }
            _ => CollectiveError::Nccl { reason },
        })
    }

    fn is_recording(&self) -> bool {
        self.is_recording.load(Ordering::Relaxed)
    }

    /// Why there is no communicator any more.
    fn ended(&self) -> CollectiveError {
        let reason = "the communicator has ended".to_string();
        self.check().err().unwrap_or(CollectiveError::Nccl { reason })
    }

    /// What has become of the calls so far.
    fn progress(&self) -> Result<Progress, CollectiveError> {
        let progress = match &mut *self.communicator() {
            Some(communicator) => communicator.progress(),
            None => return Err(self.ended()),
        };
        progress.map_err(|error| self.fail_by(error))
    }

    /// Waits until the calls so far are done.
    fn until_done(&self) -> Result<(), CollectiveError> {
        self.until(|| Ok(self.progress()? == Progress::Done))
    }

    /// Waits until something is so, at most for the timeout or until the end of the communicator.
    fn until(
        &self,
        mut is_so: impl FnMut() -> Result<bool, CollectiveError>,
    ) -> Result<(), CollectiveError> {
        let started = Instant::now();
        while !is_so()? {
            self.check()?;
            let waited = started.elapsed();
            if waited > self.timeout {
                return Err(self.fail(CollectiveError::Unanswered { after: self.timeout }));
            }
            if waited < LOOK { std::thread::yield_now() } else { std::thread::sleep(PAUSE) }
        }
        self.check()
    }

    fn communicator(&self) -> MutexGuard<'_, Option<Communicator>> {
        self.communicator.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cancel for Shared {
    fn cancel(&self) {
        self.watch.cancel();
    }
}

/// An exchange that is in the stream, but for what goes through the other group.
struct Enqueued {
    shared: Arc<Shared>,
    beside: Option<PendingExchange>,
}

impl InFlight for Enqueued {
    fn finish(mut self: Box<Self>) -> Result<(), CollectiveError> {
        self.shared.check()?;
        self.beside.take().map_or(Ok(Vec::new()), PendingExchange::wait)?;
        Ok(())
    }
}

impl Drop for Enqueued {
    fn drop(&mut self) {
        if self.beside.is_some() {
            let reason = "an exchange was dropped before it was complete".to_owned();
            self.shared.fail(CollectiveError::Aborted { reason });
        }
    }
}
