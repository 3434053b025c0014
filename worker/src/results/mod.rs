//! What an epoch leaves behind: the test set classified, its features kept and measured, everything drawn.
//!
//! The trainer calls it when an epoch has ended, the accelerator for the classes of its test samples. What is kept,
//! measured and drawn is a function of the state alone. Changes nothing of it, and writes no file: the coordinator does.
//!
//! - [`evaluate`]: the test set, classified over all ranks;
//! - [`epoch_features`]: the epoch's features and metrics, as a file;
//! - [`geometry`]: how far apart the classes lie in them;
//! - [`picture`]: how they are drawn;
//! - [`artist`]: the first rank's thread that draws them.

pub mod artist;
pub mod epoch_features;
pub mod evaluate;
pub mod geometry;
pub mod picture;
