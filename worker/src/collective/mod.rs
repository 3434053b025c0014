//! How the ranks of a generation exchange tensors. A tour:
//!
//! - [`Collective`]: what the trainer calls; one value per generation, on the trainer's thread;
//! - [`PendingExchange`]: an exchange between its start and its end;
//! - [`AbortHandle`]: ends everything from the session's side, at once;
//! - [`CollectiveError`]: what a rank learns instead of data;
//! - [`SoloCollective`]: one rank, no peers;
//! - [`GlooCollective`]: the ranks over TCP, through the Gloo inside libtorch;
//! - [`NcclCollective`]: the ranks' GPUs, through NCCL;
//! - [`agreement`]: which of the two it is, the same on every rank;
//! - [`StagedCollective`]: another engine's exchanges for tensors in a GPU's memory;
//! - [`KeyValueStore`]: where they find each other's addresses, [`MemoryStore`] within a process.
//!
//! Nothing here knows what is exchanged or in which order sums are taken.

mod abort;
pub mod agreement;
mod engine;
mod error;
mod failure;
mod gloo;
#[cfg(test)]
pub mod in_process;
mod memory_store;
pub mod nccl;
mod pending;
mod request;
mod solo;
mod staged;
mod store;

pub use crate::bridge::gloo::Seat;
pub use crate::bridge::rendezvous::{KeyValueStore, StoreError};
pub use abort::AbortHandle;
pub use engine::{Collective, Recordable};
pub use error::CollectiveError;
pub use gloo::GlooCollective;
pub use memory_store::MemoryStore;
pub use nccl::NcclCollective;
pub use pending::PendingExchange;
pub use solo::SoloCollective;
pub use staged::StagedCollective;
