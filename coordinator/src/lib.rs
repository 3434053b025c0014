//! The coordinator: plans a run, serves samples, keeps membership, stores results. A tour, in the order of its life:
//!
//! - [`commands`]: what the user commands: the command line, and whatever it asks for but a run;
//! - [`run`]: the life of a run: prepare, serve, watch, end, sum up;
//! - [`data`]: what a run is made of: samples, their order, the parameters it may start with;
//! - [`door`]: who may come in; behind it
//! - [`service`]: what workers may do and say, thin, over
//! - [`cluster`]: who takes part, and what is kept of it;
//! - [`run_directory`]: what stays of a run: its files, its ledger among them.
//!
//! [`clock`], [`interrupts`] and [`log`] are inputs that tests replace. A wing calls those below it, never one above:
//! `commands`, `run`, `service`, `cluster`, `run_directory`, `data`; the `door` stands on the ground, as these inputs do.
//! The coordinator never links libtorch and never computes a gradient.

pub mod clock;
pub mod cluster;
pub mod commands;
pub mod data;
pub mod door;
pub mod log;
pub mod machine;
pub mod run;
pub mod run_directory;
pub mod service;

pub use common::interrupts;
