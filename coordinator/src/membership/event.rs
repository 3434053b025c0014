//! What happens to the membership, and what it decides.

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
    /// A worker has done its whole part.
    Finished {
        /// From whom.
        session: SessionId,
        /// Its part of which generation.
        generation: Generation,
        /// Ended by a stop, before the last step.
        stopped: bool,
    },
    /// A worker cannot go on, for a reason of its own.
    Failed {
        /// From whom.
        session: SessionId,
        /// Why.
        reason: String,
    },
    /// A worker cannot go on because another one is gone.
    LostPeer {
        /// From whom.
        session: SessionId,
        /// What its collective said.
        reason: String,
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
        /// Its slot.
        slot: Slot,
        /// How it ended, a verb phrase: "exited with code 1".
        how: String,
    },
    /// The user wants the run to end early.
    StopRequested {
        /// Why.
        reason: String,
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

/// A worker's request for a slot.
#[derive(Clone, Debug)]
pub struct Join {
    /// The connection it came over.
    pub session: SessionId,
    /// The slot it asks for.
    pub slot: Slot,
    /// Version of the conversation it speaks.
    pub protocol_version: u32,
    /// What it is.
    pub identity: Identity,
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
    /// Tell a member to begin a generation.
    Start {
        /// Whom.
        session: SessionId,
        /// Its place.
        order: StartOrder,
    },
    /// Tell a member to end cleanly.
    Stop {
        /// Whom.
        session: SessionId,
        /// Why.
        reason: String,
    },
    /// Tell a worker that it is over, and end its session.
    Abort {
        /// Whom.
        session: SessionId,
        /// Why.
        reason: String,
    },
    /// Thank a member that is done, and end its session.
    Goodbye {
        /// Whom.
        session: SessionId,
    },
    /// The run is over; the last decision there is.
    End(Outcome),
}

/// A member's place in a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartOrder {
    /// Which generation.
    pub generation: Generation,
    /// The member's rank.
    pub rank: Rank,
    /// How many members there are.
    pub world_size: WorldSize,
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
