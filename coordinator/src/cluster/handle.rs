//! The members and their connections, as whoever has to do with them holds them: events go in, the membership's decisions
//! are carried out, and how things stand comes out.
//!
//! A seat, the service's handlers, the ticker and `run` call it. It holds the lock around the state machine and the
//! connections of its members; nothing here decides, and nothing here waits for a worker.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::ids::{Generation, Slot};
use common::status::ServiceError;
use proto::coordinator_message::Message;
use proto::{Heard, Start, Welcome};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::books::Books;
use super::dispatch::{Dispatch, State};
use super::links::{Links, Opened};
use super::membership::{Event, Identity, Membership, Outcome, Past, Rules, SessionId, View};
use super::rendezvous::Rendezvous;
use crate::clock::Clock;

/// How often waits are checked against their deadlines.
const TICK: Duration = Duration::from_millis(100);
/// What becomes of a worker that leaves more orders unread than it may.
const DOES_NOT_READ: &str = "does not read its orders";
/// A tick that comes so late means that this process, or its machine, has been stopped.
const ASLEEP: Duration = Duration::from_secs(2);

/// The members and their connections.
#[derive(Debug)]
pub struct Cluster {
    state: Mutex<State>,
    /// When the last event came: some do ten times a second.
    last_event: Mutex<Option<Duration>>,
    clock: Clock,
    dispatch: Dispatch,
    /// Workers that came when the run was complete, and how long they are waited for.
    latecomers: watch::Sender<usize>,
    latecomers_timeout: Duration,
}

/// What a cluster is made of.
#[derive(Debug)]
pub struct Parts {
    /// What membership is decided by.
    pub rules: Rules,
    /// What is known of earlier generations.
    pub past: Past,
    /// What every worker is told when it is let in.
    pub welcome: Welcome,
    /// What every member is told at the start, but for its place.
    pub start: Start,
    /// The run's ledger.
    pub books: Books,
    /// Time.
    pub clock: Clock,
    /// Hears of slots that a worker is to be started for, and after how long.
    pub spawns: mpsc::UnboundedSender<(Slot, Duration)>,
}

impl Cluster {
    /// Nobody is there yet.
    pub fn new(parts: Parts) -> Self {
        let Parts { rules, past, welcome, start, books, clock, spawns } = parts;
        let latecomers_timeout = rules.timing.latecomers_timeout;
        let state = State {
            membership: Membership::new(rules, past),
            books,
            links: Links::default(),
            training_since: None,
        };
        let dispatch = Dispatch {
            welcome,
            start,
            rendezvous: Rendezvous::default(),
            outcome: watch::Sender::new(None),
            spawns,
        };
        let latecomers = watch::Sender::new(0);
        let (state, last_event) = (Mutex::new(state), Mutex::new(None));
        Self { state, last_event, clock, dispatch, latecomers, latecomers_timeout }
    }

    /// Opens a session for a worker that asks for `slot`, or for any, and says to hold a state of so many steps. The
    /// membership has not heard of it yet.
    pub(super) fn open_session(
        &self,
        slot: Option<Slot>,
        identity: Identity,
        holds: Option<u64>,
    ) -> Opened {
        self.lock().links.open(slot, identity, holds)
    }

    /// Takes one event in and does what follows from it.
    pub fn apply(&self, event: Event) {
        log(&event);
        let mut state = self.lock();
        let now = self.clock.now();
        // What cannot be written down ends the run, which is an event of its own.
        let mut events: VecDeque<Event> = self.woke(now).into_iter().chain([event]).collect();
        while let Some(event) = events.pop_front() {
            if matches!(event, Event::Woke { .. }) {
                log(&event);
            }
            if let Err(error) = note(&mut state, now, &event) {
                events.push_back(Event::StorageFailed { reason: error.to_string() });
            }
            for decision in state.membership.apply(now, event) {
                if let Err(error) = self.dispatch.carry_out(&mut state, now, decision) {
                    events.push_back(Event::StorageFailed { reason: error.to_string() });
                }
            }
            for session in state.links.take_clogged() {
                events.push_back(Event::SessionEnded { session, how: DOES_NOT_READ.to_string() });
            }
        }
    }

    /// Whether this process did nothing for long before `now`, so that everybody seems to have been silent.
    fn woke(&self, now: Duration) -> Option<Event> {
        let mut last = self.last_event.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the ticks begin there is nothing to miss.
        let slept = now.saturating_sub((*last)?);
        *last = Some(now);
        (slept > ASLEEP).then_some(Event::Woke { slept })
    }

    /// Tells a worker that its heartbeat was heard.
    pub fn confirm(&self, session: SessionId) {
        let mut state = self.lock();
        state.links.send(session, Message::Heard(Heard {}));
        if !state.links.take_clogged().is_empty() {
            drop(state);
            self.forget(session, DOES_NOT_READ.to_string());
        }
    }

    /// A session is over, and how.
    pub fn forget(&self, session: SessionId, how: String) {
        self.apply(Event::SessionEnded { session, how });
        self.lock().links.close(session);
    }

    /// Lets time pass until `cancel`.
    pub async fn tick(&self, cancel: CancellationToken) {
        let mut interval = tokio::time::interval(TICK);
        *self.last_event.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.clock.now());
        while cancel.run_until_cancelled(interval.tick()).await.is_some() {
            self.apply(Event::Tick);
        }
    }

    /// Waits for the end of the run.
    pub async fn ended(&self) -> Outcome {
        let mut outcome = self.dispatch.outcome.subscribe();
        let ended = outcome.wait_for(Option::is_some).await;
        ended.expect("the sender lives as long as self").clone().expect("waited for it")
    }

    /// Processes of the members, which after the end are those that were told of it.
    pub fn processes(&self) -> BTreeSet<u32> {
        self.lock().membership.processes()
    }

    /// After the last step: waits for workers that are missing, which may be on their way, so that they are told that
    /// the run is complete. Without that they would look for a coordinator that is gone.
    pub async fn wait_for_latecomers(&self) {
        let missing = self.lock().membership.missing();
        if missing > 0 {
            self.tell_latecomers(missing, self.latecomers_timeout).await;
        }
    }

    /// Waits until so many workers have been told that the run is complete, for as long as `limit`.
    pub async fn tell_latecomers(&self, missing: usize, limit: Duration) {
        tracing::info!(
            missing,
            "the run is complete; telling missing workers that come within {}",
            humantime::format_duration(limit)
        );
        let mut told = self.latecomers.subscribe();
        let all_told = told.wait_for(|told| *told >= missing);
        tokio::time::timeout(limit, all_told).await.ok();
    }

    /// A worker that came when the run was complete has been told so.
    pub fn has_told_latecomer(&self) {
        self.latecomers.send_modify(|told| *told += 1);
    }

    /// The key-value store of the current generation.
    pub fn rendezvous(&self) -> &Rendezvous {
        &self.dispatch.rendezvous
    }

    /// Refuses what does not belong to the running generation.
    ///
    /// # Errors
    /// It belongs to another, or the run is over.
    pub fn require_current(&self, generation: u64) -> Result<(), ServiceError> {
        if self.dispatch.outcome.borrow().is_some() {
            return Err(ServiceError::Ending("the run is over".to_string()));
        }
        let current = self.lock().membership.generation();
        if generation == current.0 && current != Generation(0) {
            return Ok(());
        }
        Err(ServiceError::Stale(format!(
            "this call belongs to generation {generation}, the current one is {current}"
        )))
    }

    /// The membership now.
    pub fn view(&self) -> View {
        self.lock().membership.view(self.clock.now())
    }

    /// How long ago training began.
    pub fn training_time(&self) -> Option<Duration> {
        let since = self.lock().training_since?;
        Some(self.clock.now().saturating_sub(since))
    }

    /// How long the coordinator has been running.
    pub fn uptime(&self) -> Duration {
        self.clock.now()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes down what an event tells of the run's progress.
fn note(state: &mut State, now: Duration, event: &Event) -> Result<(), ServiceError> {
    let (session, generation, step) = match event {
        Event::Heard { session, report } => (*session, report.generation, report.step),
        Event::Finished { session, generation, reached, .. } => {
            (*session, *generation, reached.step)
        }
        _ => return Ok(()),
    };
    if generation == state.membership.generation() && state.membership.is_at_work(session) {
        state.books.heard(now, step)?;
    }
    Ok(())
}

fn log(event: &Event) {
    match event {
        Event::Failed { reason, .. } => tracing::warn!("a worker failed: {reason}"),
        Event::Left { reached, reason, .. } => {
            let step = reached.map(|reached| reached.step);
            tracing::debug!(step, "a worker left its generation: {reason}");
        }
        Event::Leaving { reason, .. } => tracing::info!("a worker wants to leave: {reason}"),
        Event::DrainRequested { slot } => tracing::info!(%slot, "draining"),
        Event::ScaleRequested { workers } => tracing::info!(workers, "scaling"),
        Event::Woke { slept } => tracing::warn!(
            "this coordinator did nothing for {:.1} s (stopped, or its machine asleep): everybody is given a fresh heartbeat",
            slept.as_secs_f64()
        ),
        Event::StopRequested { reason } => tracing::info!("stopping: {reason}"),
        Event::ProcessEnded { slot, process, how } => {
            tracing::debug!(%slot, process, "worker process {how}");
        }
        Event::SessionEnded { session, how } => {
            tracing::debug!(session = session.0, "a worker {how}")
        }
        _ => {}
    }
}
