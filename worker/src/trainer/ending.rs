//! What a generation leaves: how it ended, and what its worker keeps of it for the next.

use super::error::TrainerError;
use crate::bridge::BridgeError;
use crate::link::Outbox;
use crate::mathematics::kernels::Float;
use crate::state::{Identity, State};

/// How a generation ended for its ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The run's last step is done.
    Complete,
    /// The run was asked to stop before; its state is stored.
    Stopped,
    /// The ranks have left the generation after the same step, to form another.
    Paused,
}

/// What a worker keeps from one generation to the next.
#[derive(Debug)]
pub struct Memory {
    /// The run's state.
    pub state: Box<State>,
    /// What the coordinator may not have stored yet.
    pub outbox: Outbox,
    /// The state's identity, where all ranks of a generation have agreed on it.
    pub identity: Option<u64>,
}

impl Memory {
    /// Whether the state still is the one that all had agreed on, as far as that is known.
    ///
    /// # Errors
    /// The parameters are not of this precision.
    pub fn is_unchanged<T: Float>(&self) -> Result<bool, BridgeError> {
        let Some(identity) = self.identity else { return Ok(true) };
        Ok(Identity::default().of_memory::<T>(&self.state)? == identity)
    }
}

/// How a generation ended for this rank, and what it keeps.
#[derive(Debug)]
pub struct Ending {
    /// How it ended.
    pub result: Result<Outcome, TrainerError>,
    /// The state, wherever there was one.
    pub memory: Option<Memory>,
}

/// A failure, and the state that this worker brought along if it is still good.
pub type Unprepared = (TrainerError, Option<Memory>);
