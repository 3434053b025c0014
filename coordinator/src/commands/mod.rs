//! What the user commands: the command line, and every command but the run itself.
//!
//! - [`args`]: the command line becomes one validated value; [`settings`]: a run's from all their layers;
//! - [`running_coordinator`]: a coordinator to be asked, by
//!   - [`status`]: how it is doing;
//!   - [`operator`]: more workers, fewer, one less;
//! - [`audit`]: proves from a run's ledger that every sample was used once;
//! - [`fingerprint`]: what a run has come to, in one line;
//! - [`verify`]: proves by runs of its own that the result does not depend on the workers;
//! - [`replay`]: computes a stretch of a run again and says what differs;
//! - [`child_run`], [`folder`]: one training run as a child process, and where it is, for these two;
//! - [`verdict`]: what those that prove something answer.
//!
//! `main` parses, then calls one of them or [`run()`](crate::run::run()); `coordinator certs` is the
//! [`door`](crate::door::certs)'s. Nothing here is part of a run: what it knows of one it reads from the run's folder, or
//! asks for as anybody could.

pub mod args;
pub mod audit;
pub mod child_run;
pub mod fingerprint;
pub mod folder;
pub mod operator;
pub mod replay;
pub mod running_coordinator;
pub mod settings;
pub mod status;
pub mod verdict;
pub mod verify;
