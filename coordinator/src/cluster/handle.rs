//! Carries out what `membership` decides: feeds it events, sends its orders, tells when the run is over.
//!
//! The service's handlers, the ticker and `spawn` call it. It holds the lock around the state machine and the
//! connections of its members; nothing here decides, and nothing here waits for a worker.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::ids::{Generation, Slot};
use common::status::ServiceError;
use proto::coordinator_message::Message;
use proto::{
    Abort, CoordinatorMessage, Evict, Goodbye, Halt, Heard, Hello, Ping, Start, Stop, Welcome,
};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::books::Books;
use super::membership::{
    Begin, Decision, Event, Identity, Join, Membership, Outcome, Past, Rules, SessionId, View,
};
use super::rendezvous::Rendezvous;
use super::seat::Seat;
use super::translation::{held, identity, start_of};
use crate::clock::Clock;

/// How often waits are checked against their deadlines.
const TICK: Duration = Duration::from_millis(100);
/// Orders that a worker may leave unread: beside the stations of a run's life, as many answered heartbeats.
pub const UNREAD_ORDERS: usize = 256;
/// What becomes of one that leaves more.
const DOES_NOT_READ: &str = "does not read its orders";

/// The members and their connections.
#[derive(Debug)]
pub struct Cluster {
    state: Mutex<State>,
    clock: Clock,
    /// What every worker is told when it is let in.
    welcome: Welcome,
    /// What every member is told at the start, but for its place.
    start: Start,
    /// The key-value store of the current generation.
    pub rendezvous: Rendezvous,
    outcome: watch::Sender<Option<Outcome>>,
    /// Workers that came when the run was complete, and how long they are waited for.
    latecomers: watch::Sender<usize>,
    latecomers_timeout: Duration,
    /// Slots that a worker is to be started for, and after how long.
    spawns: mpsc::UnboundedSender<(Slot, Duration)>,
}

#[derive(Debug)]
struct State {
    membership: Membership,
    books: Books,
    links: HashMap<SessionId, Link>,
    sessions: u64,
    pings: u64,
    training_since: Option<Duration>,
    /// Sessions whose workers have left too many orders unread.
    clogged: Vec<SessionId>,
}

/// The coordinator's end of a session.
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
            links: HashMap::new(),
            sessions: 0,
            pings: 0,
            training_since: None,
            clogged: Vec::new(),
        };
        Self {
            state: Mutex::new(state),
            clock,
            welcome,
            start,
            rendezvous: Rendezvous::default(),
            outcome: watch::Sender::new(None),
            latecomers: watch::Sender::new(0),
            latecomers_timeout,
            spawns,
        }
    }

    /// Lets a worker in, or says why not; waits while the holder of its slot is probed.
    ///
    /// # Errors
    /// The refusal.
    pub async fn join(
        self: &Arc<Self>,
        hello: Hello,
    ) -> Result<(Seat, mpsc::Receiver<CoordinatorMessage>), ServiceError> {
        let (admission, answer) = oneshot::channel();
        let (orders, received) = mpsc::channel(UNREAD_ORDERS);
        let closing = CancellationToken::new();
        let slot = hello.slot.map(Slot);
        let (held, identity) = (held(&hello), identity(&hello));
        let protocol_version = hello.protocol_version;
        let link = Link {
            slot,
            identity: identity.clone(),
            holds: held.as_ref().map(|held| held.reached.step),
            admission: Some(admission),
            orders,
            closing: closing.clone(),
        };
        let session = self.register(link);
        // From here on the session ends with the seat, also where the worker leaves while it waits.
        let seat = Seat::new(Arc::clone(self), session, closing);
        self.apply(Event::Joined(Join { session, slot, protocol_version, identity, held }));
        let refused = || Err(ServiceError::Ending("the coordinator is ending".to_string()));
        let answer = answer.await.unwrap_or_else(|_| refused());
        if matches!(answer, Err(ServiceError::Complete(_))) {
            self.latecomers.send_modify(|told| *told += 1);
        }
        answer.map(|()| (seat, received))
    }

    /// Takes one event in and does what follows from it.
    pub fn apply(&self, event: Event) {
        log(&event);
        let mut state = self.lock();
        let now = self.clock.now();
        // What cannot be written down ends the run, which is an event of its own.
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            if let Err(error) = note(&mut state, now, &event) {
                events.push_back(Event::StorageFailed { reason: error.to_string() });
            }
            for decision in state.membership.apply(now, event) {
                if let Err(error) = self.carry_out(&mut state, now, decision) {
                    events.push_back(Event::StorageFailed { reason: error.to_string() });
                }
            }
            for session in std::mem::take(&mut state.clogged) {
                events.push_back(Event::SessionEnded { session, how: DOES_NOT_READ.to_string() });
            }
        }
    }

    /// Tells a worker that its heartbeat was heard.
    pub fn confirm(&self, session: SessionId) {
        let mut state = self.lock();
        send(&mut state, session, Message::Heard(Heard {}));
        if !std::mem::take(&mut state.clogged).is_empty() {
            drop(state);
            self.forget(session, DOES_NOT_READ.to_string());
        }
    }

    /// A session is over, and how.
    pub fn forget(&self, session: SessionId, how: String) {
        self.apply(Event::SessionEnded { session, how });
        close(&mut self.lock(), session);
    }

    /// Lets time pass until `cancel`.
    pub async fn tick(&self, cancel: CancellationToken) {
        let mut interval = tokio::time::interval(TICK);
        while cancel.run_until_cancelled(interval.tick()).await.is_some() {
            self.apply(Event::Tick);
        }
    }

    /// Waits for the end of the run.
    pub async fn ended(&self) -> Outcome {
        let mut outcome = self.outcome.subscribe();
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
        if missing == 0 {
            return;
        }
        let limit = humantime::format_duration(self.latecomers_timeout);
        tracing::info!(
            missing,
            "the run is complete; telling missing workers that come within {limit}"
        );
        let mut told = self.latecomers.subscribe();
        let all_told = told.wait_for(|told| *told >= missing);
        tokio::time::timeout(self.latecomers_timeout, all_told).await.ok();
    }

    /// Refuses what does not belong to the running generation.
    ///
    /// # Errors
    /// It belongs to another, or the run is over.
    pub fn require_current(&self, generation: u64) -> Result<(), ServiceError> {
        if self.outcome.borrow().is_some() {
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

    fn register(&self, link: Link) -> SessionId {
        let mut state = self.lock();
        state.sessions += 1;
        let session = SessionId(state.sessions);
        state.links.insert(session, link);
        session
    }

    fn carry_out(
        &self,
        state: &mut State,
        now: Duration,
        decision: Decision,
    ) -> Result<(), ServiceError> {
        match decision {
            Decision::Admit { session, slot } => return self.admit(state, session, slot),
            Decision::Refuse { session, error } => {
                let slot = state.links.get(&session).and_then(|link| link.slot);
                match slot {
                    Some(slot) => tracing::warn!(%slot, "worker refused: {error}"),
                    None => tracing::warn!("worker refused: {error}"),
                }
                answer(state, session, Err(error));
                close(state, session);
            }
            Decision::Ping { session } => {
                state.pings += 1;
                send(state, session, Message::Ping(Ping { nonce: state.pings }));
            }
            Decision::Begin(begin) => return self.begin(state, now, &begin),
            Decision::Halt { session, reason, at_once } => {
                let generation = state.membership.generation().0;
                send(state, session, Message::Halt(Halt { generation, reason, at_once }));
            }
            Decision::Stop { session, reason } => {
                send(state, session, Message::Stop(Stop { reason }));
            }
            Decision::Lost(loss) => {
                tracing::warn!(slot = %loss.slot, "worker lost: it {}", loss.cause);
                return state.books.lost(now, &loss);
            }
            Decision::Evict { session, reason } => {
                send(state, session, Message::Evict(Evict { reason }));
                close(state, session);
            }
            Decision::Abort { session, reason } => {
                send(state, session, Message::Abort(Abort { reason }));
                close(state, session);
            }
            Decision::Goodbye { session } => {
                send(state, session, Message::Goodbye(Goodbye {}));
                let slot = state.links.get(&session).and_then(|link| link.slot);
                close(state, session);
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
        answer(state, session, Ok(()));
        send(state, session, Message::Welcome(Welcome { slot: slot.0, ..self.welcome }));
        tracing::info!(%slot, "worker joined: {}", state.membership.reason());
        match state.links.get_mut(&session) {
            Some(link) => {
                link.slot = Some(slot);
                state.books.joined(slot, &link.identity, link.holds)
            }
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
            send(state, place.session, Message::Start(start));
        }
        Ok(())
    }

    fn end(&self, state: &State, outcome: Outcome) -> Result<(), ServiceError> {
        let reason = match &outcome {
            Outcome::Completed => "the run is complete",
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

fn send(state: &mut State, session: SessionId, message: Message) {
    // A worker that is gone is noticed where its session is read.
    let Some(link) = state.links.get(&session) else { return };
    let sent = link.orders.try_send(CoordinatorMessage { message: Some(message) });
    if let Err(TrySendError::Full(_)) = sent {
        close(state, session);
        state.clogged.push(session);
    }
}

fn answer(state: &mut State, session: SessionId, answer: Result<(), ServiceError>) {
    if let Some(admission) = state.links.get_mut(&session).and_then(|link| link.admission.take()) {
        admission.send(answer).ok();
    }
}

/// Ends the stream of orders after what is in it.
fn close(state: &mut State, session: SessionId) {
    if let Some(link) = state.links.remove(&session) {
        link.closing.cancel();
    }
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
