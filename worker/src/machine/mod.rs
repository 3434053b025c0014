//! The machine: what a worker computes on, chosen once and told to the coordinator.
//!
//! The command line chooses, the session says what was chosen, and the trainer computes with it. Nothing here knows the
//! network, a step or another rank.
//!
//! - [`device`]: which device computes, and with whose kernels;
//! - [`graphs`]: whether its steps are recorded and replayed;
//! - [`hardware`]: what it is, in words; [`environment`]: the variables that choose what it computes;
//! - [`cpus`]: which of the machine's processors are this worker's;
//! - [`shard_pool`]: logical shards side by side on these;
//! - [`device_fault`]: what a failure on a GPU means.

pub mod cpus;
pub mod device;
pub mod device_fault;
pub mod environment;
pub mod graphs;
pub mod hardware;
pub mod shard_pool;
