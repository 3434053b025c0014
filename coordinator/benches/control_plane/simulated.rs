//! A worker that only talks: it joins, reports steps that nobody computes, and leaves a generation when told to.
//!
//! A task of `crowd`, which hears of everything that happens to it. Of what it holds it says what one in a lockstep
//! training would: the step that all have done, or the one before.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use common::access::Line;
use proto::coordinator_client::CoordinatorClient;
use proto::coordinator_message::Message as Order;
use proto::worker_message::Message as Word;
use proto::{
    CoordinatorMessage, Halt, Heartbeat, Hello, Left, PROTOCOL_VERSION, Pong, Reached,
    WorkerMessage,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_stream::wrappers::ReceiverStream;

/// Between two heartbeats of a worker, and two steps of the simulated training.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);

/// What all workers share.
#[derive(Debug)]
pub struct Shared {
    /// Steps of the run that are done.
    pub step: AtomicU64,
    /// Every second worker has not done the last of them yet.
    pub half_a_step_apart: AtomicBool,
    /// Heartbeats said.
    pub said: AtomicU64,
    /// Heartbeats answered.
    pub answered: AtomicU64,
    /// The longest wait for an answer, microseconds.
    pub longest_wait: AtomicU64,
    /// Where happenings are told.
    pub news: mpsc::UnboundedSender<News>,
}

/// Something that happened to a worker.
#[derive(Debug)]
pub struct News {
    /// To which.
    pub slot: u32,
    /// When.
    pub at: Instant,
    /// What.
    pub what: Happening,
}

/// What happens to a worker.
#[derive(Debug)]
pub enum Happening {
    /// It was let in.
    Welcomed,
    /// It was told to begin a generation.
    Started {
        /// Which.
        generation: u64,
    },
    /// It is out of the run: refused, evicted, or its session is over.
    Gone {
        /// Why.
        how: String,
    },
}

/// Takes part until the session ends, whatever ends it.
pub async fn stay(client: CoordinatorClient<Line>, slot: u32, shared: Arc<Shared>) {
    let news = shared.news.clone();
    let Err(error) = take_part(client, slot, shared).await;
    let what = Happening::Gone { how: format!("{error:#}") };
    // Nobody listens when the measurement is over.
    news.send(News { slot, at: Instant::now(), what }).ok();
}

/// A session as the worker sees it.
#[derive(Debug)]
struct Session {
    slot: u32,
    shared: Arc<Shared>,
    words: mpsc::Sender<WorkerMessage>,
    /// The last that was started, and what it does in it.
    generation: u64,
    phase: &'static str,
    /// Heartbeats without an answer, the oldest first.
    unanswered: VecDeque<Instant>,
}

async fn take_part(
    mut client: CoordinatorClient<Line>,
    slot: u32,
    shared: Arc<Shared>,
) -> Result<Infallible> {
    let (words, outgoing) = mpsc::channel(16);
    let mut session = Session {
        slot,
        shared,
        words,
        generation: 0,
        phase: "waiting",
        unanswered: VecDeque::new(),
    };
    session.say(Word::Hello(hello(slot))).await?;
    let orders = client.session(ReceiverStream::new(outgoing)).await.context("joining")?;
    let mut orders = orders.into_inner();
    let mut beats = interval_at(Instant::now() + HEARTBEAT_INTERVAL, HEARTBEAT_INTERVAL);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            order = orders.message() => session.follow(order?).await?,
            _ = beats.tick() => session.beat().await?,
        }
    }
}

impl Session {
    async fn follow(&mut self, order: Option<CoordinatorMessage>) -> Result<()> {
        match order.context("the session was closed")?.message.context("an empty order")? {
            Order::Contact(contact) => {
                bail!("it says nowhere that it listens, but got {contact:?}")
            }
            Order::Welcome(_) => self.tell(Happening::Welcomed),
            Order::Heard(_) => self.note_answer(),
            Order::Ping(ping) => self.say(Word::Pong(Pong { nonce: ping.nonce })).await?,
            Order::Start(start) => {
                (self.generation, self.phase) = (start.generation, "training");
                self.tell(Happening::Started { generation: start.generation });
            }
            Order::Halt(halt) => self.leave(halt).await?,
            Order::Evict(evict) => bail!("evicted: {}", evict.reason),
            Order::Stop(stop) => bail!("stopped: {}", stop.reason),
            Order::Abort(abort) => bail!("aborted: {}", abort.reason),
            Order::Goodbye(_) => bail!("let go"),
        }
        Ok(())
    }

    async fn beat(&mut self) -> Result<()> {
        self.unanswered.push_back(Instant::now());
        self.shared.said.fetch_add(1, Relaxed);
        let heartbeat = Heartbeat {
            generation: self.generation,
            phase: self.phase.to_string(),
            step: self.step(),
            images_per_second: 1000.0,
            memory_bytes: 1 << 29,
            collective_share: 0.1,
            ..Heartbeat::default()
        };
        self.say(Word::Heartbeat(heartbeat)).await
    }

    async fn leave(&mut self, halt: Halt) -> Result<()> {
        self.phase = "waiting";
        let Halt { generation, reason, at_once } = halt;
        let reached = Some(Reached { step: self.step(), ..Reached::default() });
        self.say(Word::Left(Left { generation, reached, reason, broken: at_once })).await
    }

    fn step(&self) -> u64 {
        let is_behind = self.shared.half_a_step_apart.load(Relaxed) && self.slot % 2 == 1;
        self.shared.step.load(Relaxed).saturating_sub(u64::from(is_behind))
    }

    fn note_answer(&mut self) {
        self.shared.answered.fetch_add(1, Relaxed);
        if let Some(since) = self.unanswered.pop_front() {
            self.shared.longest_wait.fetch_max(since.elapsed().as_micros() as u64, Relaxed);
        }
    }

    fn tell(&self, what: Happening) {
        // Nobody listens when the measurement is over.
        self.shared.news.send(News { slot: self.slot, at: Instant::now(), what }).ok();
    }

    async fn say(&self, word: Word) -> Result<()> {
        let message = WorkerMessage { message: Some(word) };
        self.words.send(message).await.context("the session was closed")
    }
}

fn hello(slot: u32) -> Hello {
    Hello {
        protocol_version: PROTOCOL_VERSION,
        slot: Some(slot),
        advertise: format!("sim-{slot}"),
        device: "cpu".to_string(),
        hardware: "Simulated Processor @ 2.00GHz".to_string(),
        libtorch_version: "2.11.0".to_string(),
        program_version: env!("CARGO_PKG_VERSION").to_string(),
        process_id: slot,
        held: None,
        incarnation: u64::from(slot),
        machine: String::new(),
        listens_at: Vec::new(),
        kernels: 0,
        answer: 0,
        proof: String::new(),
        variables: Vec::new(),
    }
}
