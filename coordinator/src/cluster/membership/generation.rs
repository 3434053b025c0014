//! What a generation begins with: its members, their places, and where their state comes from.

use std::net::IpAddr;
use std::sync::Arc;

use common::computing::Computing;
use common::ids::{Generation, Rank, Slot, WorldSize};

use super::event::SessionId;
use super::worker::Reached;

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
    /// It takes no step: its members store the state, and the run ends.
    pub only_stores: bool,
    /// What the run is computed with; none where members need not be alike.
    pub computing: Option<Arc<Computing>>,
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
    /// Which of its addresses all others have reached; none where that was not tried.
    pub address: Option<IpAddr>,
}

/// A member's place among those of its generation that say the same machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalPlace {
    /// Its number among them, from 0, in the order of ranks.
    pub rank: u32,
    /// How many they are.
    pub world_size: u32,
}
