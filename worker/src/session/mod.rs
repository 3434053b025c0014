//! The worker's stays with the coordinator: joins, obeys, comes back when the connection is lost.
//!
//! Lives on tokio and never touches a tensor; one trainer thread computes. A worker has left its generation for good
//! before it joins anew; what it keeps is the run's state, for the generation after.
//!
//! - `stays`: from one stay to the next;
//! - `joining`: how a stay begins, with `own_address` and `incarnation`, two things that the coordinator is told;
//! - `proofs`: what the worker proves to compute, before;
//! - `contact`: whether workers reach each other;
//! - `stay`: its orders, and what follows from each;
//! - `generation`: the trainer thread of one generation, seen from here;
//! - `parting`: how a generation ends, and with it or with the connection the stay;
//! - `kept`: what outlives both;
//! - `signals`: what ends every wait here.

mod contact;
mod generation;
mod incarnation;
mod joining;
mod kept;
mod own_address;
mod parting;
mod proofs;
mod signals;
mod stay;
mod stays;

pub use stays::run;
