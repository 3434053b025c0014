//! What a worker keeps between two generations, and between two stays: the run's state.

use common::ids::Generation;
use proto::HeldState;

use crate::trainer::Memory;

/// The state that this worker keeps, and where it comes from.
#[derive(Debug)]
pub struct Kept {
    /// The run's identity.
    pub run: String,
    /// The generation that left it.
    pub generation: Generation,
    /// What it left.
    pub memory: Memory,
}

impl Kept {
    /// As the coordinator is told of it.
    pub fn describe(&self) -> HeldState {
        HeldState {
            run: self.run.clone(),
            generation: self.generation.0,
            reached: Some(self.memory.state.reached()),
        }
    }
}
