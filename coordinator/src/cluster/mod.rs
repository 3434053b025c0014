//! Who takes part in a run, and what is kept of it.
//!
//! - [`Seat`]: a worker's place while its session lasts;
//! - [`translation`]: between the words of the messages and those of the membership;
//! - [`Cluster`]: the members and their connections; feeds the membership;
//! - [`membership`]: who takes part, decided as a pure state machine;
//! - `dispatch`: carries its decisions out; `links`: the coordinator's ends of the sessions;
//! - [`books`]: what happened, written into the run's ledger;
//! - [`rendezvous`]: the key-value store in which the members of a generation find each other.
//!
//! `run` makes the [`Cluster`]; `service` and `run` tell it what happens. Nothing here computes, serves a call or waits
//! for a worker.

pub mod books;
mod dispatch;
mod handle;
mod links;
pub mod membership;
pub mod rendezvous;
mod seat;
pub mod translation;

pub use handle::{Cluster, Parts};
pub use seat::Seat;
