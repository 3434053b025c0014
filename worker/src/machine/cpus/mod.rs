//! Which processors a worker computes on. Which ones compute does not matter to the result.
//!
//! The session asks it for each generation; it starts no thread.
//!
//! - [`allotment`]: what this process may use, and who else may;
//! - [`topology`]: which processors belong together;
//! - `binding`: a worker's share of them, as the coordinator numbers the workers.

pub mod allotment;
mod binding;
pub mod topology;

pub use binding::{Binding, CpuBind, Cpus, LocalPlace, release};
