//! The real programs as processes, and what their runs leave behind. Every test uses it; it knows no test.
//!
//! - [`programs`]: where the binaries are;
//! - [`processes`]: finding and ending every process of a run;
//! - [`run`]: a coordinator with the workers it starts;
//! - [`turn`]: what a run takes of the machine;
//! - [`by_hand`]: workers that a test starts itself;
//! - [`island`]: a worker's own network, whose cable can be pulled;
//! - [`stand_in`]: a library in NCCL's place;
//! - [`wire`]: a way to the coordinator that can be cut;
//! - [`results`]: a run directory's files, as numbers and hashes;
//! - [`data`]: IDX files, MNIST where it is;
//! - [`formulas`]: the closed formulas of `tests/reference/single_node.py`;
//! - [`expected`]: the values it computed, and how far others are from them.

pub mod by_hand;
pub mod data;
pub mod expected;
pub mod formulas;
pub mod island;
pub mod processes;
pub mod programs;
pub mod results;
pub mod run;
pub mod stand_in;
pub mod turn;
pub mod wire;

pub use by_hand::Worker;
pub use island::Island;
pub use results::Results;
pub use run::{Ending, Launch, Run};
pub use wire::Wire;
