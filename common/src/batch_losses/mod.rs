//! Losses that look at the whole global batch, all behind one signature:
//! (features `[B, d]`, labels `[B]`, own parameters) → (loss, ∂loss/∂features `[B, d]`, ∂loss/∂own).
//!
//! A trainer that gathered the features and labels of a step calls [`find`] once and [`Criterion::evaluate`] every
//! step, on every rank with the same batch: each computes the same bits and then uses the rows of its own samples.
//! Nothing here knows a rank, slices a batch or adds across ranks. Sums are of 64 bits and in index order, without
//! threads; `exp`, `log` and `cos` are `libm`'s.
//!
//! - [`criterion`]: the signature, its input and its result;
//! - [`table`]: the losses by name, with their parameters. A new loss is one file and one line there;
//! - [`supcon`], [`triplet`], [`contrastive_center`], [`margin`]: one loss each, the last one two;
//! - `units`, `vectors`, `log_softmax`: the arithmetic they share.
//!
//! What holds for every loss: an empty batch has loss 0; a batch in which no sample takes part (no positive pair, say)
//! has loss 0, `anchors` 0 and gradients 0; a number in features or own parameters that is not finite makes the loss
//! and all gradients NaN; nothing panics but on own parameters of the wrong length.

pub mod contrastive_center;
pub mod criterion;
mod log_softmax;
pub mod margin;
pub mod supcon;
pub mod table;
pub mod triplet;
mod units;
mod vectors;

#[cfg(test)]
mod own_rank_only;
#[cfg(test)]
mod tests;

pub use criterion::{Batch, BatchError, BatchLoss, Criterion, Own, Scores};
pub use table::{Entry, LOSSES, Parameter, TableError, find};
