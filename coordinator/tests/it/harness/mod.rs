//! A coordinator inside the test's process, and workers that are mere clients of it.
//!
//! - `patience`: how long a test waits;
//! - `run`: the coordinator;
//! - `caller`: somebody who has come in, and what he may call;
//! - `worker`: a caller with a session: a worker that only talks.

mod caller;
mod patience;
mod run;
mod worker;

pub use caller::Caller;
pub use patience::{TIMING, within};
pub use run::{SMALL, TestRun, plan};
pub use worker::{FakeWorker, at, config, hello};
