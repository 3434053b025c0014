//! What happens to the membership, and what it decides.

use std::time::Duration;

use common::ids::{Generation, Rank, Slot, WorldSize};
use common::status::ServiceError;

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
    },
    /// Time has passed.
    Tick,
}

/// A worker's request for a place.
#[derive(Clone, Debug)]
pub struct Join {
    /// The connection it came over.
    pub session: SessionId,
    /// The slot it asks for; one that is free where it asks for none.
    pub slot: Option<Slot>,
    /// Version of the conversation it speaks.
    pub protocol_version: u32,
    /// What it is.
    pub identity: Identity,
    /// The state that it keeps from an earlier generation.
    pub held: Option<Held>,
}

/// A state in a worker's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The run it belongs to.
    pub run: String,
    /// The generation it was computed in.
    pub generation: Generation,
    /// How far it has got.
    pub reached: Reached,
}

/// How far a state has got, in the order of what comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reached {
    /// Steps of the run that are done.
    pub step: u64,
    /// Epochs that are done, with all that follows an epoch's last step.
    pub epochs: u64,
    /// All is done that follows the run's last step.
    pub ended: bool,
}

/// What a worker is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Host or address at which other workers reach it.
    pub host: String,
    /// "cpu" or "cuda:I".
    pub device: String,
    /// Processor or GPU model.
    pub hardware: String,
    /// Version of its libtorch.
    pub libtorch_version: String,
    /// Version of the program.
    pub program_version: String,
    /// On its host.
    pub process_id: u32,
    /// Drawn by the process when it started.
    pub incarnation: u64,
    /// The same for all workers that share their cores; empty where it is not known.
    pub machine: String,
}

/// What a heartbeat says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The generation it belongs to, 0 before the first.
    pub generation: Generation,
    /// What the worker does.
    pub phase: String,
    /// Current epoch.
    pub epoch: u64,
    /// Committed steps of the run.
    pub step: u64,
    /// Global throughput it measures.
    pub images_per_second: f64,
    /// Resident set size, bytes.
    pub memory_bytes: u64,
    /// Share of time spent in collectives, 0…1.
    pub collective_share: f64,
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

/// A generation that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Its number.
    pub generation: Generation,
    /// Where its members' state comes from.
    pub origin: Origin,
    /// Its members, in the order of their ranks.
    pub members: Vec<Place>,
    /// Why it is formed.
    pub cause: String,
}

impl Begin {
    /// How many members it has.
    pub fn world_size(&self) -> WorldSize {
        WorldSize(self.members.len() as u32)
    }
}

/// Where the state of a generation's members comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The last checkpoint, or the run's beginning where there is none.
    Stored,
    /// The memory of one of them.
    Member {
        /// Its rank.
        source: Rank,
        /// How far it has got.
        reached: Reached,
        /// The ranks that do not have it.
        lacking: Vec<Rank>,
    },
}

/// A member's place in a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its stable number.
    pub slot: Slot,
    /// Its session.
    pub session: SessionId,
    /// Its number in the generation.
    pub rank: Rank,
    /// Among the members that share its cores.
    pub local: LocalPlace,
}

/// A member's place among those of its generation that say the same machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalPlace {
    /// Its number among them, from 0, in the order of ranks.
    pub rank: u32,
    /// How many they are.
    pub world_size: u32,
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
