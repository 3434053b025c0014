//! The coordinator under simulated workers: plain gRPC clients, no torch. One binary, one harness.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod artifacts;
mod attacks;
mod command_line;
mod crashes;
mod endings;
mod files;
mod harness;
mod initial_state;
mod initial_state_files;
mod initial_state_sets;
mod joining;
mod processes;
mod program;
mod rendezvous;
mod resuming;
mod samples;
mod status;
mod surviving;
mod tls;
