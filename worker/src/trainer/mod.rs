//! The trainer thread: owns the state, the step and the collectives of one generation.
//!
//! The session starts it with a [`Task`] and gets its [`Ending`]. Nothing here knows of tokio; the session stops it through
//! a flag and ends it through the collective's abort handle and the link's token. Whatever ends a generation, the state
//! survives it: see [`Memory`].
//!
//! What comes in:
//!
//! - `task`, `request`: what a generation is, and what the session asks of it later;
//! - `connecting`: how a rank comes together with the others;
//! - `origin`, `transfer`: where the state comes from; how a newcomer gets it from a member that has it;
//! - `setup`: from the task to the first step, and from the last to what it leaves;
//!
//! what is done:
//!
//! - `training`: from epoch to epoch, and how a generation or a run ends;
//! - `engine`, `feed`: what a step computes with, and the samples of this epoch and the next;
//! - `step`, `change`: one step, from samples to commit;
//! - `agreement`, `cross_check`: that all ranks have computed the same, and each what it should; `claims`: what they say of it;
//!   `dispute`, `judgement`, `disagreement`: who has not;
//! - `device_run`, `on_device`: steps that a device is asked for ahead of time; `device_agreement`: their proofs;
//! - `proof`: a small fixed computation with the run's kernels, before a worker joins;
//! - `epoch_end`: evaluation, metrics, checkpoint and features of an epoch;
//!
//! and what goes out:
//!
//! - `report`: what the coordinator is sent;
//! - `progress`: what the session's heartbeats tell;
//! - `ending`, `error`: what a generation leaves, and why it could not go on.

mod agreement;
mod change;
mod claims;
mod connecting;
mod cross_check;
mod device_agreement;
mod device_run;
mod disagreement;
mod dispute;
mod ending;
mod engine;
mod epoch_end;
mod error;
mod feed;
mod judgement;
mod on_device;
mod origin;
mod progress;
mod proof;
mod report;
mod request;
mod setup;
mod step;
mod task;
mod training;
mod transfer;

pub use ending::{Ending, Memory, Outcome};
pub use error::{TrainerError, Verdict};
pub use origin::Origin;
pub use progress::Progress;
pub use proof::{Means, Terms, prove};
pub use request::{Request, Requests};
pub use setup::run;
pub use task::{RunFacts, Task};
pub use transfer::Roles;
