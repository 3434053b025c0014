//! One stay with the coordinator: follows its orders, and sees that a lost coordinator is noticed. How a trainer's end
//! is told, and how a stay parts from one that still computes, is in `parting`.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use common::causes::in_words;
use common::ids::Slot;
use proto::coordinator_message::Message as Order;
use proto::worker_message::Message as Word;
use proto::{Contacted, CoordinatorMessage, Failed, Halt, Leaving, Pong, WorkerMessage};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tonic::Streaming;

use super::contact::{Listening, Tries};
use super::generation::{RunningGeneration, TRAINER_END};
use super::joining::{Joined, Post};
use super::kept::Kept;
use super::signals::Signals;
use crate::link::Client;
use crate::trainer::{Ending, Progress, Request, TrainerError};

/// How long a word may take to go out.
const SILENCE: Duration = Duration::from_secs(5);
/// Likewise the last one, where this worker is to end at once.
const LAST_WORD: Duration = Duration::from_millis(200);
/// To wait so much longer than from one heartbeat to the next means that this process, or its machine, has been stopped.
const ASLEEP: Duration = Duration::from_secs(2);

/// How a stay ended.
pub enum End {
    /// Nothing more is wanted of this worker.
    Done,
    /// It is over, and not well.
    Failed(anyhow::Error),
    /// The connection is lost; the run may go on.
    Lost(String),
    /// The run goes on without this worker.
    Evicted(String),
}

/// One stay.
pub struct Stay {
    post: Post,
    client: Client,
    words: mpsc::Sender<WorkerMessage>,
    pub(super) orders: Streaming<CoordinatorMessage>,
    progress: Progress,
    pub(super) generation: Option<RunningGeneration>,
    heartbeat: Interval,
    last_heard: Instant,
    pub(super) longest_silence: Duration,
    /// By when the trainer must have ended, once it was told to end at once.
    pub(super) trainer_deadline: Option<tokio::time::Instant>,
    leaving: bool,
    /// Answers other workers that try to reach this one.
    _listening: Listening,
    tries: Tries,
    /// Why this worker is of no more use, however the stay ends.
    pub(super) ruined: Option<TrainerError>,
}

impl Stay {
    /// Begins with what joining has brought.
    pub fn begin(joined: Joined) -> Self {
        let Joined { post, client, words, orders, welcome, listening } = joined;
        Self {
            post,
            client,
            words,
            orders,
            progress: Progress::default(),
            generation: None,
            heartbeat: beat(Duration::from_millis(welcome.heartbeat_interval_ms.max(1))),
            last_heard: Instant::now(),
            longest_silence: Duration::from_millis(welcome.heartbeat_timeout_ms),
            trainer_deadline: None,
            leaving: false,
            _listening: listening,
            tries: Tries::none(),
            ruined: None,
        }
    }

    /// The slot that this worker has.
    pub fn slot(&self) -> Slot {
        self.post.slot
    }

    /// Follows orders until the stay ends. The state is taken from `kept` by a generation and comes back with its end.
    pub async fn obey(mut self, kept: &mut Option<Kept>, signals: &Signals) -> End {
        let end = tokio::select! {
            end = self.follow_orders(kept, signals) => Ok(end),
            // Whatever it is waiting for.
            signal = signals.reach(2) => Err(signal),
        };
        let end = match end {
            Ok(end) => end,
            Err(signal) => self.leave_at_once(signal).await,
        };
        match (self.ruined, end) {
            (Some(error), End::Lost(_) | End::Evicted(_)) => End::Failed(error.into()),
            (_, end) => end,
        }
    }

    async fn follow_orders(&mut self, kept: &mut Option<Kept>, signals: &Signals) -> End {
        let first_step = self.progress.clone();
        loop {
            let idle = Instant::now();
            tokio::select! {
                order = self.orders.message() => {
                    self.last_heard = Instant::now();
                    let end = match order {
                        Ok(Some(CoordinatorMessage { message: Some(order) })) => {
                            self.follow(order, kept).await
                        }
                        Ok(Some(_)) => None,
                        Ok(None) => {
                            let closed = "it closed the connection";
                            Some(self.lose(closed, kept, signals).await)
                        }
                        Err(status) => Some(self.refused(status, kept, signals).await),
                    };
                    if let Some(end) = end {
                        return end;
                    }
                }
                ending = ending_of(&mut self.generation) => {
                    if let Some(end) = self.report(ending, kept).await {
                        return end;
                    }
                }
                attempts = self.tries.news() => {
                    self.say(Word::Contacted(Contacted { attempts })).await;
                }
                _ = self.heartbeat.tick() => {
                    if idle.elapsed() > self.heartbeat.period() + ASLEEP {
                        // Whoever was silent meanwhile was so to nobody.
                        self.last_heard = Instant::now();
                    }
                    if self.last_heard.elapsed() > self.longest_silence {
                        let silence = format!("it was silent for {:?}", self.longest_silence);
                        return self.lose(&silence, kept, signals).await;
                    }
                    self.beat().await;
                }
                () = first_step.first_step() => self.beat().await,
                () = at(self.trainer_deadline) => return self.give_the_trainer_up().await,
                signal = signals.reach(1), if !self.leaving => self.leave(signal).await,
            }
        }
    }

    /// Carries out one order; the stay's end, if it is one.
    async fn follow(&mut self, order: Order, kept: &mut Option<Kept>) -> Option<End> {
        match order {
            Order::Start(start) => {
                let world = (&self.post, &self.client, &self.progress);
                match RunningGeneration::start(start, world, kept.take()) {
                    Ok(generation) => {
                        self.generation = Some(generation);
                        self.trainer_deadline = None;
                        None
                    }
                    Err(error) => {
                        self.fail(in_words(error.as_ref()), true).await;
                        Some(End::Failed(error))
                    }
                }
            }
            Order::Halt(halt) => {
                self.halt(&halt);
                None
            }
            Order::Stop(stop) => {
                tracing::info!(reason = stop.reason, "stopping after this step");
                if let Some(generation) = &self.generation {
                    generation.ask(Request::Stop);
                }
                None
            }
            Order::Ping(ping) => {
                self.say(Word::Pong(Pong { nonce: ping.nonce })).await;
                None
            }
            Order::Contact(contact) => {
                self.tries.follow(contact);
                None
            }
            Order::Heard(_) | Order::Welcome(_) => None,
            Order::Evict(evict) => {
                self.end_trainer(&evict.reason, kept).await;
                Some(End::Evicted(evict.reason))
            }
            Order::Abort(abort) => {
                self.end_trainer(&abort.reason, kept).await;
                Some(End::Failed(anyhow!("the run ended: {}", abort.reason)))
            }
            Order::Goodbye(_) => Some(End::Done),
        }
    }

    /// The generation is to end; the trainer's end is reported when it comes.
    fn halt(&mut self, halt: &Halt) {
        let Some(generation) = &self.generation else { return };
        if generation.number.0 != halt.generation {
            return;
        }
        tracing::info!(reason = halt.reason, at_once = halt.at_once, "leaving the generation");
        if halt.at_once {
            generation.break_off(&halt.reason);
            self.trainer_deadline = Some(tokio::time::Instant::now() + TRAINER_END);
        } else {
            generation.ask(Request::Pause);
        }
    }

    /// A first signal: the worker leaves in order, when the coordinator says goodbye. A second one ends it.
    async fn leave(&mut self, signal: &str) {
        self.leaving = true;
        let reason = format!("it was {signal}");
        tracing::info!("{reason}: leaving after this step; once more to leave at once");
        self.say(Word::Leaving(Leaving { reason })).await;
    }

    async fn leave_at_once(&mut self, signal: &str) -> End {
        let reason = format!("it was {signal}");
        timeout(LAST_WORD, self.fail(reason.clone(), false)).await.ok();
        End::Failed(anyhow!("this worker has left: {reason}"))
    }

    async fn beat(&mut self) {
        let generation = self.generation.as_ref().map(|generation| generation.number);
        let heartbeat = self.progress.heartbeat(generation.unwrap_or_default());
        self.say(Word::Heartbeat(heartbeat)).await;
    }

    pub(super) async fn fail(&mut self, reason: String, ends_run: bool) {
        let generation = self.generation.as_ref().map_or(0, |generation| generation.number.0);
        self.fail_in(generation, reason, ends_run).await;
    }

    async fn fail_in(&self, generation: u64, reason: String, ends_run: bool) {
        self.say(Word::Failed(Failed { generation, reason, ends_run, ..Failed::default() })).await;
    }

    pub(super) async fn say(&self, word: Word) {
        // A closed channel means the stream has ended, which `orders` reports with its reason; one that is full for long
        // means that nobody reads, which shows as silence.
        let _ = timeout(SILENCE, self.words.send(message(word))).await;
    }
}

fn message(word: Word) -> WorkerMessage {
    WorkerMessage { message: Some(word) }
}

fn beat(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// The trainer's end, once there is one; pending for ever without a trainer.
async fn ending_of(generation: &mut Option<RunningGeneration>) -> Ending {
    match generation {
        Some(generation) => generation.ending().await,
        None => std::future::pending().await,
    }
}

/// Waits until a moment; for ever without one.
async fn at(moment: Option<tokio::time::Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
