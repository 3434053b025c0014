//! The promise, kept by real processes: the coordinator and its workers over gRPC and Gloo. One binary, one harness.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod alike;
mod batch_losses;
mod broken;
mod chaos;
mod endings;
mod flipped;
mod fully_connected;
mod graphs;
mod harness;
mod hashes;
mod invariance;
mod joining;
mod locked;
mod nccl;
mod portable;
mod reference;
mod replaying;
mod resume;
mod strict_load;
mod surviving;
mod tensors;
mod unusual;
mod verifying;
