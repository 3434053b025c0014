//! The life of a run, from a validated wish to its last words.
//!
//! - [`RunPlan`]: what is asked for;
//! - [`prepare`]: run directory, data, initial state, checkpoint; every mistake of the user shows here;
//! - [`assembly`]: puts the parts together, and has [`spawn`] start workers on this machine;
//! - [`run()`]: serves and watches over the run until it ends;
//! - `predecessor`: whether the coordinator before still serves the run;
//! - [`progress`], [`summary`], `advice`: what the user sees while it lasts, and at its end.
//!
//! `main` and the tests call [`run()`] with its [`Inputs`]. Nothing here answers a worker or decides who takes part.

mod advice;
pub mod assembly;
mod life;
mod plan;
mod predecessor;
pub mod prepare;
pub mod progress;
pub mod spawn;
pub mod summary;

pub use life::{Ended, Inputs, run};
pub use plan::{RunPlan, naming_its_variable};
