//! The state of a run: the same on every rank after every step, changed only by a step's commit.
//!
//! The trainer owns the one there is; an accelerator keeps copies of it on the device. Nothing here computes a step, and
//! nothing touches a disk.
//!
//! - `position`: how far the run has got;
//! - `run_state`: everything that it is by then;
//! - `checkpoint`: that as two files, and back;
//! - `digests`: what each of its tensors has come to; `identity`: all of it in one number;
//! - `before`: what it was, to go back to;
//! - `struck`: where a test changes a bit of it;
//! - `tensors`: named tensors as safetensors bytes (pure).

mod before;
mod checkpoint;
mod digests;
mod identity;
mod position;
mod run_state;
mod struck;
mod tensors;

pub use before::Before;
pub use checkpoint::{Checkpoint, read_model};
pub use identity::Identity;
pub use position::{EpochRecord, Position};
pub use run_state::{State, round};
pub use tensors::{ArchiveError, label_dtype};
