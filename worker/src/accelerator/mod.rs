//! Training on an accelerator: a step is asked for, not waited for.
//!
//! The host tells the device what to do a step ahead and learns of losses and the like when they are there; what decides
//! whether a step counts is computed on the device. Nothing here is CUDA's own: every operation is one of libtorch's, so
//! the same code runs on a CPU, where `--engine tensors` chooses it, and is tested there.
//!
//! - `requests`: what a device is asked for;
//! - [`ring`]: the copies of the state, and which steps are under way (pure);
//! - [`copy`], [`record`], [`samples`]: the state, the epoch so far and the epoch's samples in the device's memory;
//! - [`identity`]: one number for what a copy holds, which the ranks compare;
//! - [`numbers`]: what a step is told and what it tells;
//! - [`recorded`]: steps that are recorded once and replayed;
//! - `step`: what a step does;
//! - [`pass`], [`shard`], [`norm`], `linear`, [`losses`]: the network and its losses;
//! - [`mod@commit`]: the next copy of the state;
//! - [`evaluate`]: the test set.
//!
//! The trainer (`trainer::on_device`) drives it. Nothing here decides what a step is, which the network and the mathematics
//! do, nor commits one on the host.

pub mod commit;
pub mod copy;
pub mod evaluate;
pub mod identity;
mod linear;
pub mod losses;
pub mod norm;
pub mod numbers;
pub mod pass;
pub mod record;
pub mod recorded;
mod requests;
pub mod ring;
pub mod samples;
pub mod shard;
mod step;
mod struck;
pub mod wait;
mod whole_batch;

pub use requests::{Accelerator, Marker, Sizes, StepRequest};
