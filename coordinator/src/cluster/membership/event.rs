//! What happens to the membership, and what it decides.

use std::time::Duration;

use common::ids::{Generation, Slot};
use common::status::ServiceError;

use super::contacts::{Attempt, Peer};
use super::generation::Begin;
use super::worker::{Join, Reached, Report};

/// One connection of one worker. Never reused, so that news of an evicted session cannot be taken for its successor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A worker asks for a slot.
    Joined(Join),
    /// A heartbeat.
    Heard {
        /// From whom.
        session: SessionId,
        /// What it says.
        report: Report,
    },
    /// The answer to a ping.
    Answered {
        /// From whom.
        session: SessionId,
    },
    /// A worker is out of its generation, its state in memory.
    Left {
        /// Who.
        session: SessionId,
        /// Out of which generation.
        generation: Generation,
        /// How far its state has got, if it has one.
        reached: Option<Reached>,
        /// The generation cannot go on; otherwise all have left after the same step.
        broken: bool,
        /// Why.
        reason: String,
    },
    /// A worker wants to leave the run.
    Leaving {
        /// Who.
        session: SessionId,
        /// Why.
        reason: String,
    },
    /// A worker has done its whole part.
    Finished {
        /// From whom.
        session: SessionId,
        /// Its part of which generation.
        generation: Generation,
        /// Ended by a stop, before the last step.
        stopped: bool,
        /// How far its state has got.
        reached: Reached,
    },
    /// A worker cannot go on, for a reason of its own.
    Failed {
        /// From whom.
        session: SessionId,
        /// Why.
        reason: String,
        /// Every other worker would fail likewise.
        ends_run: bool,
        /// How far the state has got that it still can store.
        reached: Option<Reached>,
    },
    /// What tries to reach other workers have shown.
    Contacted {
        /// Who tried.
        session: SessionId,
        /// Whom, and what came of it.
        attempts: Vec<Attempt>,
    },
    /// A connection is closed.
    SessionEnded {
        /// Whose.
        session: SessionId,
        /// How it ended, a verb phrase: "closed its connection".
        how: String,
    },
    /// A worker process that this coordinator started is gone.
    ProcessEnded {
        /// The slot that it was started for.
        slot: Slot,
        /// Its number on this machine: another may hold the slot by now.
        process: u32,
        /// How it ended, a verb phrase: "exited with code 1".
        how: String,
    },
    /// The user wants the run to end early.
    StopRequested {
        /// Why.
        reason: String,
    },
    /// The user wants a worker to leave.
    DrainRequested {
        /// Its slot.
        slot: Slot,
    },
    /// The user wants the run to have so many workers.
    ScaleRequested {
        /// How many, from 1 to the rules' `max_workers`.
        workers: u32,
    },
    /// The run directory cannot take more.
    StorageFailed {
        /// What was to be written, and what the system said.
        reason: String,
    },
    /// A checkpoint is safe.
    CheckpointStored {
        /// Which, in words.
        description: String,
        /// Steps that are done in it.
        step: u64,
    },
    /// The coordinator itself did nothing for long: it was stopped, or its machine asleep.
    Woke {
        /// For how long.
        slept: Duration,
    },
    /// Time has passed.
    Tick,
}

/// What follows from an event, to be carried out in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Give the session its slot.
    Admit {
        /// Whose.
        session: SessionId,
        /// Which.
        slot: Slot,
    },
    /// End a session that asked for a slot.
    Refuse {
        /// Whose.
        session: SessionId,
        /// Why.
        error: ServiceError,
    },
    /// Ask whether the worker is alive.
    Ping {
        /// Whom.
        session: SessionId,
    },
    /// Tell a worker whom it is to try to reach, in place of whom it was told before.
    Contact {
        /// Whom to tell.
        session: SessionId,
        /// Whom to reach.
        peers: Vec<Peer>,
        /// How often each.
        every: Duration,
    },
    /// Take note that a member is set aside, or is no more.
    SetAside {
        /// Which.
        slot: Slot,
        /// Why; none where it may take part again.
        reason: Option<String>,
    },
    /// Begin a generation.
    Begin(Begin),
    /// Tell a member to leave the running generation.
    Halt {
        /// Whom.
        session: SessionId,
        /// Why.
        reason: String,
        /// Without finishing the step in flight.
        at_once: bool,
    },
    /// Tell a member to end cleanly.
    Stop {
        /// Whom.
        session: SessionId,
        /// Why.
        reason: String,
    },
    /// Take note of a member that is gone.
    Lost(Loss),
    /// Tell a worker that the run goes on without it, and end its session.
    Evict {
        /// Whom.
        session: SessionId,
        /// Why.
        reason: String,
    },
    /// Tell a worker that the run is over, and end its session.
    Abort {
        /// Whom.
        session: SessionId,
        /// Why.
        reason: String,
    },
    /// Thank a member of which nothing more is wanted, and end its session.
    Goodbye {
        /// Whom.
        session: SessionId,
    },
    /// Start a worker for a slot, after a while.
    Spawn {
        /// Which.
        slot: Slot,
        /// After how long.
        delay: Duration,
    },
    /// The run is over; the last decision there is.
    End(Outcome),
}

/// A member that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Its stable number.
    pub slot: Slot,
    /// How that was noticed, a verb phrase: "closed its connection".
    pub cause: String,
    /// Whether the running generation cannot go on without it.
    pub in_generation: bool,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every step is done and stored.
    Completed,
    /// Stopped early, cleanly.
    Stopped {
        /// Why.
        reason: String,
    },
    /// Ended by a failure.
    Failed {
        /// The cause and the last checkpoint.
        reason: String,
        /// Whose failure it was, where it was a worker's.
        slot: Option<Slot>,
    },
}
