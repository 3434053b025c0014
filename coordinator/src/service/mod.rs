//! What workers may do and say, and how they are answered: the gRPC service.
//!
//! - [`server`]: its port, its limits, and how it notices that a connection is dead;
//! - [`Service`]: each call to its handler;
//! - [`intake`]: what of a call is taken: lengths, names, shapes, steps, numbers, joins;
//! - the handlers, one file for each group of calls:
//!   - `terms`: what the run computes, for workers that are about to join;
//!   - `session`: a worker's whole stay;
//!   - `rendezvous`: the key-value store;
//!   - `samples`, [`artifacts`], `metrics`: what flows while training;
//!   - [`status`]: what `coordinator status` shows;
//!   - `operator`: what `coordinator scale` and `coordinator drain` ask for;
//! - [`board`]: what the run has reported so far;
//! - [`Shared`]: the parts that do the work, over which all this is thin.
//!
//! `run` serves it behind the door. Handlers check, delegate and map errors; decisions are made in
//! [`cluster::membership`](crate::cluster::membership).

pub mod artifacts;
pub mod board;
mod calls;
pub mod intake;
mod metrics;
mod operator;
mod rendezvous;
mod samples;
pub mod server;
mod session;
mod shared;
pub mod status;
mod terms;

pub use calls::Service;
pub use shared::{Outgoing, Shared};
