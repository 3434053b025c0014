//! The thread beside a communicator: ends it when that is asked for, and when the stream does not get past an exchange
//! in time. The trainer may hang at that moment, in a copy from the device or in a call for more work than the device
//! queues, and is freed by the communicator's end. Ending one may hang itself, where the driver does, which must not
//! stop the session; so nobody else does it.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tch::Device;

use super::Shared;
use crate::bridge::cuda;
use crate::bridge::device::Event;
use crate::bridge::nccl::{Communicator, Progress};
use crate::collective::CollectiveError;

/// How often the stream is looked at while something is in it.
const INTERVAL: Duration = Duration::from_millis(20);
/// How long the owner waits for the end of a communicator before it leaves that to the thread.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the thread is told.
#[derive(Debug, Default)]
pub(super) struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Places in the stream that it has to reach, and when they were put there.
    events: VecDeque<(Event, Instant)>,
    wish: Option<Wish>,
    is_over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// In order: everything is done on every rank.
    Finish,
    /// At once, whatever is under way.
    Abort,
}

impl Watch {
    /// The stream has to get past `event` in time.
    pub(super) fn add(&self, event: Event) {
        let mut state = self.lock();
        if state.events.is_empty() {
            self.changed.notify_all();
        }
        state.events.push_back((event, Instant::now()));
    }

    /// Ends the communicator at once. Does not wait for that.
    pub(super) fn cancel(&self) {
        self.lock().wish = Some(Wish::Abort);
        self.changed.notify_all();
    }

    /// Ends the communicator, `in_order` or at once, and waits for it a little.
    pub(super) fn end(&self, in_order: bool) {
        let mut state = self.lock();
        state.wish.get_or_insert(if in_order { Wish::Finish } else { Wish::Abort });
        self.changed.notify_all();
        let waited = self.changed.wait_timeout_while(state, PATIENCE, |state| !state.is_over);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if !state.is_over {
            tracing::warn!("a communicator has not ended yet and is left behind");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread for the communicator of `shared`.
pub(super) fn start(shared: Arc<Shared>, device: Device) -> std::io::Result<()> {
    std::thread::Builder::new().name("nccl-watch".into()).spawn(move || {
        if let Device::Cuda(index) = device
            && let Err(error) = cuda::enter(index)
        {
            tracing::warn!(%error, "the thread that watches a communicator has no GPU");
        }
        let wish = shared.watch_over();
        let communicator = shared.communicator().take();
        if let Some(communicator) = communicator {
            match wish {
                Wish::Finish => finish(communicator),
                Wish::Abort => communicator.abort(),
            }
        }
        shared.watch.lock().is_over = true;
        shared.watch.changed.notify_all();
    })?;
    Ok(())
}

impl Shared {
    /// Looks at the stream until the communicator is to end.
    fn watch_over(&self) -> Wish {
        loop {
            let (wish, waited) = {
                let mut state = self.watch.lock();
                (state.wish, state.oldest_wait())
            };
            if let Some(wish) = wish {
                return wish;
            }
            if let Some(waited) = waited {
                // What has failed in the background may never get past, and the trainer may not ask.
                let asked = match &mut *self.communicator() {
                    Some(communicator) => communicator.progress(),
                    None => return Wish::Abort,
                };
                if let Err(error) = asked {
                    // Of an exchange that is under way, also while this rank records another step.
                    self.fail(CollectiveError::Nccl { reason: error.to_string() });
                    return Wish::Abort;
                }
                if waited > self.timeout {
                    self.fail(CollectiveError::Unanswered { after: self.timeout });
                    return Wish::Abort;
                }
            }
            let state = self.watch.lock();
            let interval = if state.events.is_empty() { Duration::MAX } else { INTERVAL };
            if state.wish.is_none() {
                drop(self.watch.changed.wait_timeout(state, interval));
            }
        }
    }
}

impl State {
    /// How long the oldest event has been waited for that is not reached.
    fn oldest_wait(&mut self) -> Option<Duration> {
        // An event that cannot be asked tells of a broken device, which the trainer finds out by itself.
        while let Some((event, _)) = self.events.front()
            && event.is_reached().unwrap_or(true)
        {
            self.events.pop_front();
        }
        self.events.front().map(|(_, since)| since.elapsed())
    }
}

/// The orderly end; what is not over in time is aborted.
fn finish(mut communicator: Communicator) {
    let deadline = Instant::now() + PATIENCE;
    let mut progress = communicator.finalise().map(|()| Progress::Under);
    while progress == Ok(Progress::Under) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
        progress = communicator.progress();
    }
    match progress {
        Ok(Progress::Done) => communicator.destroy(),
        _ => communicator.abort(),
    }
}
