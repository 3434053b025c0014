//! What a run is made of: the samples that it trains on, and the parameters that it may start with.
//!
//! - [`Data`]: all samples, held once, and their identity ([`DataIdentity`]), which is saved with the run;
//! - [`samples`]: which of them a range of logical shards consumes, in the order of its steps;
//! - [`initial_state`]: parameters from a file of the user's.
//!
//! `run` has it made before a worker may join; `service` sends it to workers. Nothing here changes while a run lasts, and
//! nothing knows a worker.

mod dataset;
pub mod initial_state;
pub mod samples;

pub use dataset::{DATA_IDENTITY, Data, DataIdentity};
