//! A worker: computes its logical shards of every global batch and reduces them with its peers.
//!
//! A tour, in the order the data takes:
//!
//! - [`args`], [`session`]: the command line, and the stays with the coordinator (tokio; no tensors);
//! - [`link`]: the line to the coordinator: samples come down it, results go up;
//! - [`trainer`]: the thread that owns state, step and collectives of a generation;
//! - [`network`], [`mathematics`]: what a step computes of each logical shard, and the formulas;
//! - [`reduction`], [`collective`]: its sums in one fixed order, and the engines that carry their parts;
//! - [`accelerator`]: the same step, as a device is asked for it;
//! - [`machine`]: the cores and the device that compute;
//! - [`state`]: what a step changes, and how it is kept;
//! - [`results`]: what an epoch leaves behind, and how it is drawn;
//! - [`fault`]: where tests end a worker;
//! - [`bridge`]: the worker's only `unsafe` code, to libtorch's C++.
//!
//! Each is a wing with a tour of its own. They call in one direction, `session` → `trainer` → `accelerator` → `results`,
//! `state` → `network` → `reduction`, `link` → `collective` → `mathematics`, `machine` → `bridge`, never back up.

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
