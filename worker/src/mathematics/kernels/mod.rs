//! Fused passes over the memory of one logical shard, between its convolutions.
//!
//! The network's logical shards call them, each on memory of its own; they know no layer, no other shard and no tensor.
//! A convolution's output is read and written as few times as the definition allows:
//!
//! - `float`, `extent`, `blocks`: the numbers, where they lie, and the neighbours that are handled together;
//! - [`statistics`]: sum and sum of squares per channel, for BatchNorm's forward pass;
//! - [`activation`]: BatchNorm, PReLU and, where one follows, the max-pool in one pass;
//! - [`gradient`]: what flows back through the three, in one pass for the sums that are reduced over the global batch
//!   and one for the gradient of the convolution's output, both of which recompute the activation instead of storing
//!   it;
//! - [`update`]: an optimizer's step; `finite`: whether it has left numbers; [`mod@digest`]: which.
//!
//! Memory is `[batch, height, width, channels]`, so neighbours in memory are neighbouring channels and every loop
//! vectorises without reordering a sum. Sums are accumulated in 64 bits, image after image: their value depends on
//! the shard's samples and on nothing else.

pub mod activation;
mod blocks;
pub mod digest;
mod extent;
mod finite;
mod float;
pub mod gradient;
pub mod statistics;
#[cfg(test)]
mod tests_support;
pub mod update;

pub use activation::Activation;
pub use extent::Extent;
pub use float::{Float, in_64_bits, rounded};
