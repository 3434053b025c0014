//! What workers say of themselves: what they are, what they hold, how far they are.

use std::net::SocketAddr;
use std::sync::Arc;

use common::computing::Computing;
use common::ids::{Generation, Slot};

use super::event::SessionId;

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
    /// Where it answers others that try to, the best first; none: it is not tried.
    pub listens_at: Vec<SocketAddr>,
    /// What it answers there.
    pub answer: u64,
    /// "cpu" or "cuda:I".
    pub device: String,
    /// What it computes with.
    pub computing: Arc<Computing>,
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
