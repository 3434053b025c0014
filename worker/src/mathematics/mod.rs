//! The mathematics of a step: the formulas of docs/mathematics.md, each in a file of its own.
//!
//! The network, the accelerator and the trainer call them, on every rank alike. What is summed over the global batch
//! comes in summed: nothing here knows a rank, a reduction or the coordinator.
//!
//! - [`kernels`]: the passes over one logical shard's memory, between its convolutions;
//! - [`batch_norm`]: the statistics of a layer, from its sums;
//! - [`softmax_loss`], [`center_loss`]: what is minimised, and how centers move;
//! - [`batch_terms`]: what is added to them that looks at every sample of the batch;
//! - [`optimizer`]: what a gradient changes.

pub mod batch_norm;
pub mod batch_terms;
pub mod center_loss;
pub mod kernels;
pub mod optimizer;
pub mod softmax_loss;
