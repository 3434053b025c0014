//! The one folder that holds everything of a run, and the only place where files of it are written.
//!
//! - [`RunDirectory`]: the folder, held by one coordinator; `place`: where it is, and what lies in it; `lock`: whose it
//!   is;
//! - [`atomic`]: old content or new, nothing between;
//! - [`artifact_path`]: which paths workers may name;
//! - [`Upload`]: an artifact on its way in;
//! - `retention`: which checkpoint files stay;
//! - [`model_file`], [`resume`]: where a resumed run goes on;
//! - [`fingerprint`]: what a run has come to, in one line;
//! - [`ledger`]: what happened, line by line: the content of `events.jsonl`;
//! - `metrics_log`, [`events_log`]: the files `metrics.jsonl`, `events.jsonl`; `line_log`: what both are;
//! - [`crash`]: where tests end the coordinator between two changes.
//!
//! Everything here blocks on the disk: asynchronous callers use `spawn_blocking`. Nothing here knows who takes part.

pub mod artifact_path;
pub mod atomic;
pub mod crash;
mod directory;
pub mod events_log;
pub mod fingerprint;
pub mod ledger;
mod line_log;
mod lock;
mod metrics_log;
pub mod model_file;
mod place;
pub mod resume;
mod retention;
mod upload;

pub use artifact_path::{ArtifactPath, CHECKPOINTS, CheckpointFile, CheckpointPaths, PICTURES};
pub use directory::RunDirectory;
pub use lock::LOCK;
pub use metrics_log::{digests, last_digests};
pub use model_file::CheckpointMetadata;
pub use place::{CONFIG, DIGESTS, EVENTS, LOG, METRICS, WORKER_LOGS, default_root, saved_config};
pub use resume::{ResumePoint, whole_checkpoints};
pub use upload::Upload;
