//! The coordinator: plans a run, serves samples, keeps membership, stores results. A tour, in the order of its life:
//!
//! - [`args`]: the command line becomes one validated value;
//! - [`run`]: the life of a run;
//! - [`service`]: what workers may do and say, behind the [`door`]: who may come in;
//! - [`cluster`]: who takes part, and what is kept of it in the ledger;
//! - [`run_directory`]: what stays;
//! - [`log`]: where log lines go; [`status_command`], [`operator_command`]: what the user asks for of a
//!   [`running_coordinator`];
//! - [`audit`]: proves from the ledger that every sample was used once;
//! - [`verify`]: proves by runs of its own that the result does not depend on the workers.
//!
//! [`data`] is what a run begins with; [`clock`] and [`interrupts`] are inputs that tests
//! replace. The coordinator never links libtorch and never computes a gradient.

pub mod args;
pub mod audit;
pub mod clock;
pub mod cluster;
pub mod data;
pub mod door;
pub mod interrupts;
pub mod log;
pub mod operator_command;
pub mod run;
pub mod run_directory;
pub mod running_coordinator;
pub mod service;
pub mod status_command;
pub mod verify;
