//! The identities of a run. Bare integers are easily swapped; these are not.

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl $name {
            /// The number, for indexing.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

id!(
    /// A member's place in its generation, 0…world size − 1. The first one draws and reports.
    Rank(u32)
);
id!(
    /// A worker's stable number, `worker --rank`. Ranks number a generation's members in slot order.
    Slot(u32)
);
id!(
    /// How many members a generation has, at least 1.
    WorldSize(u32)
);
id!(
    /// Counts the memberships of a run, from 1.
    Generation(u64)
);
id!(
    /// Counts passes over the training set, from 0.
    Epoch(u64)
);
id!(
    /// Counts global batches, from 0; within an epoch or over the run, as the holder says.
    Step(u64)
);
id!(
    /// The unit of computation: one of the V slices into which every global batch is cut.
    LogicalShard(u32)
);

impl Rank {
    /// The rank that draws pictures, writes checkpoints and reports metrics.
    pub const FIRST: Rank = Rank(0);
}

impl WorldSize {
    /// Every rank of this generation, in order.
    pub fn ranks(self) -> impl Iterator<Item = Rank> {
        (0..self.0).map(Rank)
    }
}
