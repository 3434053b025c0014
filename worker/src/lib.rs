//! A worker: computes its logical shards of every global batch and reduces them with its peers.
//!
//! A tour, in the order the data takes:
//!
//! - [`args`], [`session`]: the command line, and the stay with the coordinator (tokio; no tensors);
//! - [`link`]: the line to the coordinator, what comes down it and what goes up;
//! - [`trainer`]: the thread that owns state, step and collectives of a generation;
//! - [`network`], [`mathematics`]: what is computed, per logical shard and reduced;
//! - [`machine`]: the cores and the device that compute;
//! - [`accelerator`]: how a device is asked for a step, and a step as it runs it;
//! - [`reduction`], [`collective`]: sums in one fixed order, and the engines that carry their parts;
//! - [`state`]: what a step changes, and how it is kept;
//! - [`results`]: what an epoch leaves behind, and how it is drawn;
//! - [`fault`]: where tests end a worker;
//! - [`bridge`]: the only `unsafe` code, to libtorch's C++.

pub mod accelerator;
pub mod args;
pub mod bridge;
pub mod collective;
pub mod fault;
pub mod link;
pub mod machine;
pub mod mathematics;
pub mod network;
pub mod reduction;
pub mod results;
pub mod session;
pub mod state;
pub mod trainer;
