//! Carries out what `membership` decides: feeds it events, sends its orders, tells when the run is over.
//!
//! The service's handlers, the ticker and `spawn` call it. It holds the lock around the state machine and the
//! connections of its members; nothing here decides, and nothing here waits for a worker.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::ids::{Generation, Slot};
use common::status::ServiceError;
use proto::coordinator_message::Message;
use proto::{Abort, CoordinatorMessage, Goodbye, Hello, Ping, Start, Stop};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::membership::{
    Decision, Event, Identity, Join, Membership, Outcome, Rules, SessionId, StartOrder, View,
};
use crate::rendezvous::Rendezvous;
use crate::seat::Seat;

/// How often waits are checked against their deadlines.
const TICK: Duration = Duration::from_millis(100);

/// The members and their connections.
#[derive(Debug)]
pub struct Cluster {
    state: Mutex<State>,
    clock: Clock,
    /// What every member is told at the start, but for its place.
    start: Start,
    /// The key-value store of the current generation.
    pub rendezvous: Rendezvous,
    outcome: watch::Sender<Option<Outcome>>,
}

#[derive(Debug)]
struct State {
    membership: Membership,
    links: HashMap<SessionId, Link>,
    sessions: u64,
    pings: u64,
    training_since: Option<Duration>,
}

/// The coordinator's end of a session.
#[derive(Debug)]
struct Link {
    slot: Slot,
    /// Answers the worker's Hello; gone once that is done.
    admission: Option<oneshot::Sender<Result<(), ServiceError>>>,
    /// Few and small: pings and the stations of a run's life.
    orders: mpsc::UnboundedSender<CoordinatorMessage>,
    /// Cancelled when the session is over for the coordinator.
    closing: CancellationToken,
}

impl Cluster {
    /// Nobody is there yet. `start` is what members are told, but for generation and rank.
    pub fn new(rules: Rules, start: Start, clock: Clock) -> Self {
        let state = State {
            membership: Membership::new(rules),
            links: HashMap::new(),
            sessions: 0,
            pings: 0,
            training_since: None,
        };
        Self {
            state: Mutex::new(state),
            clock,
            start,
            rendezvous: Rendezvous::default(),
            outcome: watch::Sender::new(None),
        }
    }

    /// Lets a worker in, or says why not; waits while the holder of its slot is probed.
    ///
    /// # Errors
    /// The refusal.
    pub async fn join(
        self: &Arc<Self>,
        hello: Hello,
    ) -> Result<(Seat, mpsc::UnboundedReceiver<CoordinatorMessage>), ServiceError> {
        let (admission, answer) = oneshot::channel();
        let (orders, received) = mpsc::unbounded_channel();
        let closing = CancellationToken::new();
        let slot = Slot(hello.slot);
        let admission = Some(admission);
        let link = Link { slot, admission, orders, closing: closing.clone() };
        let session = self.register(link);
        // From here on the session ends with the seat, also where the worker leaves while it waits.
        let seat = Seat::new(Arc::clone(self), session, closing);
        self.apply(Event::Joined(Join {
            session,
            slot,
            protocol_version: hello.protocol_version,
            identity: identity(hello),
        }));
        let refused = || Err(ServiceError::Ending("the coordinator is ending".to_string()));
        answer.await.unwrap_or_else(|_| refused())?;
        Ok((seat, received))
    }

    /// Takes one event in and does what follows from it.
    pub fn apply(&self, event: Event) {
        log(&event);
        let mut state = self.lock();
        let decisions = state.membership.apply(self.clock.now(), event);
        for decision in decisions {
            self.carry_out(&mut state, decision);
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

    fn carry_out(&self, state: &mut State, decision: Decision) {
        match decision {
            Decision::Admit { session, slot } => {
                answer(state, session, Ok(()));
                let waiting = state.membership.view(self.clock.now()).reason;
                tracing::info!(%slot, "worker joined: {waiting}");
            }
            Decision::Refuse { session, error } => {
                let slot = state.links.get(&session).map(|link| link.slot).unwrap_or_default();
                tracing::warn!(%slot, "worker refused: {error}");
                answer(state, session, Err(error));
                close(state, session);
            }
            Decision::Ping { session } => {
                state.pings += 1;
                send(state, session, Message::Ping(Ping { nonce: state.pings }));
            }
            Decision::Start { session, order } => self.start(state, session, order),
            Decision::Stop { session, reason } => {
                send(state, session, Message::Stop(Stop { reason }));
            }
            Decision::Abort { session, reason } => {
                send(state, session, Message::Abort(Abort { reason }));
                close(state, session);
            }
            Decision::Goodbye { session } => {
                send(state, session, Message::Goodbye(Goodbye {}));
                close(state, session);
            }
            Decision::End(outcome) => self.end(outcome),
        }
    }

    fn start(&self, state: &mut State, session: SessionId, order: StartOrder) {
        let StartOrder { generation, rank, world_size } = order;
        if rank.0 == 0 {
            self.rendezvous.open(generation);
            state.training_since.get_or_insert(self.clock.now());
            tracing::info!(%generation, %world_size, "generation started");
        }
        let start = Start {
            generation: generation.0,
            rank: rank.0,
            world_size: world_size.0,
            ..self.start.clone()
        };
        send(state, session, Message::Start(start));
    }

    fn end(&self, outcome: Outcome) {
        let reason = match &outcome {
            Outcome::Completed => "the run is complete",
            Outcome::Stopped { reason } | Outcome::Failed { reason, .. } => reason,
        };
        self.rendezvous.close(reason);
        self.outcome.send_replace(Some(outcome));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn send(state: &State, session: SessionId, message: Message) {
    // A worker that is gone is noticed where its session is read.
    if let Some(link) = state.links.get(&session) {
        link.orders.send(CoordinatorMessage { message: Some(message) }).ok();
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

fn identity(hello: Hello) -> Identity {
    Identity {
        host: hello.advertise,
        device: hello.device,
        hardware: hello.hardware,
        libtorch_version: hello.libtorch_version,
        program_version: hello.program_version,
        process_id: hello.process_id,
    }
}

fn log(event: &Event) {
    match event {
        Event::Failed { reason, .. } => tracing::warn!("a worker failed: {reason}"),
        Event::LostPeer { reason, .. } => tracing::warn!("a worker lost a peer: {reason}"),
        Event::StopRequested { reason } => tracing::info!("stopping: {reason}"),
        Event::ProcessEnded { slot, how } => tracing::debug!(%slot, "worker process {how}"),
        Event::SessionEnded { session, how } => {
            tracing::debug!(session = session.0, "a worker {how}")
        }
        _ => {}
    }
}
