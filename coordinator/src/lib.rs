//! The coordinator: plans a run, serves samples, keeps membership, stores results. A tour, in the order of its life:
//!
//! - [`args`]: the command line becomes one validated value;
//! - [`prepare`]: run directory, data, initial state, checkpoint; every mistake of the user shows here;
//! - [`run`]: serves and watches over the run until it ends; [`assembly`]: puts its parts together;
//! - [`service`]: what workers may do and say, behind the [`door`]: who may come in;
//! - [`cluster`]: who takes part, and what is kept of it in the ledger;
//! - [`run_directory`]: what stays;
//! - [`spawn`]: workers on this machine;
//! - [`progress`], [`summary`], [`log`]: what the user sees; [`status_command`], [`operator_command`]: what he asks for
//!   of a [`running_coordinator`];
//! - [`audit`]: proves from the ledger that every sample was used once;
//! - [`verify`]: proves by runs of its own that the result does not depend on the workers.
//!
//! [`data`] is what a run begins with; [`clock`] and [`interrupts`] are inputs that tests
//! replace. The coordinator never links libtorch and never computes a gradient.

pub mod args;
pub mod assembly;
pub mod audit;
pub mod clock;
pub mod cluster;
pub mod data;
pub mod door;
pub mod interrupts;
pub mod log;
pub mod operator_command;
pub mod prepare;
pub mod progress;
pub mod run;
pub mod run_directory;
pub mod running_coordinator;
pub mod service;
pub mod spawn;
pub mod status_command;
pub mod summary;
pub mod verify;
