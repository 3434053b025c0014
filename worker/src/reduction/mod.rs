//! Sums over the global batch that are the same bits for any number of ranks.
//!
//! A sum has one partial per logical shard, added in the order of one fixed [`tree`]. Every rank adds the subtrees it
//! owns by itself and exchanges their roots, so the order never depends on who owns what. The network, the accelerator
//! and the trainer call it; it does not know what is summed.
//!
//! - [`tree`]: the order (pure);
//! - `ordered`: the ranks of a generation, and the subtrees that each owns;
//! - [`small`]: vectors of 64-bit numbers: everyone gets every subtree and finishes the sum alone;
//! - [`on_device`]: the same as `small`, without waiting for the numbers;
//! - [`halves`]: whole numbers that travel with them;
//! - [`bucket`]: gradients: every rank finishes the sum of its piece and sends it to all.
//!
//! With `--reduction native` the engine's own all-reduce takes the place of both.

pub mod bucket;
pub mod halves;
pub mod on_device;
mod ordered;
pub mod small;
#[cfg(test)]
mod tests;
pub mod tree;

pub use ordered::Reduction;
