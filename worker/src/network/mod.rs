//! The network: what one logical shard computes, and how the shards meet at every reduction.
//!
//! The trainer runs steps through it on a CPU; the accelerator and the evaluation share its layers. It changes no
//! parameter and knows neither the coordinator nor an epoch.
//!
//! - [`layout`]: all parameters in one flat vector;
//! - [`initial`]: their values before training;
//! - `weights`: them as a pass takes them; [`products`]: the layers that multiply by them, on the engine; `prepared`: both;
//! - [`layers`]: the convolutional layers as training and evaluation share them;
//! - `rounded`: convolutions in fewer bits, by libtorch; `alone_at_first`: how libtorch is kept from making two kernels at once;
//! - [`linear`]: the linear ones, forward and back;
//! - [`shard`]: one logical shard's part of a batch, forward and backward;
//! - [`pass`]: all owned shards through the network, reduction by reduction;
//! - `error`: why a computation fails.

mod alone_at_first;
mod error;
pub mod initial;
pub mod layers;
pub mod layout;
pub mod linear;
pub mod pass;
mod prepared;
pub mod products;
mod rounded;
pub mod shard;
mod weights;

pub use error::ComputeError;
pub use prepared::Prepared;
pub use weights::{HiddenWeights, Weights, norm_parameters};
