//! The network: what one logical shard computes, and how the shards meet at every reduction.
//!
//! The trainer runs steps through it on a CPU; the accelerator and the evaluation share its layers. It changes no
//! parameter and knows neither the coordinator nor an epoch.
//!
//! - [`layout`]: all parameters in one flat vector;
//! - [`initial`]: their values before training;
//! - `weights`: them as a pass takes them; [`products`]: the layers that multiply by them, on the engine; `prepared`: both; `workspaces`:
//!   the memory that they compute in;
//! - [`layers`]: the convolutional layers as training and evaluation share them; `flow`: what flows between them; `per_image`: sums
//!   of what flows;
//! - `rounded`: convolutions in fewer bits, by libtorch; `memory_order`, `alone_at_first`: memory for it, and how libtorch is kept from making two kernels at once;
//! - [`linear`]: the linear ones, forward and back;
//! - [`shard`]: one logical shard's part of a batch, forward and backward;
//! - [`pass`]: all owned shards through the network, reduction by reduction; [`trace`]: what they add, to compare;
//! - `error`: why a computation fails.

mod alone_at_first;
mod error;
mod flow;
pub mod initial;
pub mod layers;
pub mod layout;
pub mod linear;
pub mod memory_order;
pub mod pass;
mod per_image;
pub mod pixels;
mod prepared;
pub mod products;
mod rounded;
pub mod shard;
pub mod trace;
mod weights;
mod workspaces;

pub use error::ComputeError;
pub use prepared::Prepared;
pub use weights::{HiddenWeights, Weights, norm_parameters};
