//! What coordinator and worker share. A tour, in the order the data takes:
//!
//! - [`ids`]: ranks, slots, epochs, steps and logical shards as types of their own;
//! - [`command_line`]: flags and variables as both programs take them; [`launcher`]: what launchers say in variables;
//! - [`config`]: every setting of a run, from defaults, file, environment and flags;
//! - [`foreign`]: what a file is that was given in place of another;
//! - [`plan`]: which sample is consumed where and when, as pure functions;
//! - [`data_shape`]: the shape of images, and how many classes there are;
//! - [`labels`]: classes of samples as bytes;
//! - [`architecture`]: names and shapes of the network's tensors;
//! - [`batch_losses`]: losses that look at the whole global batch, as pure functions;
//! - [`metrics`]: what is measured each step and epoch, and its line in `metrics.jsonl`;
//! - [`computing`]: what a worker computes with, and how two are told apart;
//! - [`digests`]: what the tensors of a run have come to, and its line in `digests.jsonl`;
//! - [`wire`]: conversions between these types and the service's messages;
//! - [`status`]: how errors travel as gRPC status; `tls_alert`: those of TLS among them;
//! - [`hexadecimal()`]: digests and keys as text;
//! - [`causes`]: an error and what it comes from, as the user reads them; [`nearest()`]: what a misspelt name was meant to be;
//! - [`address`]: hosts and ports as text;
//! - [`access`]: how a coordinator behind TLS and a join token is reached;
//! - [`interrupts`]: Ctrl-C and SIGTERM; [`telemetry`]: log lines.
//!
//! Nothing here links libtorch or opens a socket of the cluster.

/// Which order of operations a CPU's results come from. Raised whenever one changes, so that workers whose bits would differ
/// are told apart, and so are fingerprints of their runs.
pub const KERNEL_VERSION: u32 = 2;

pub mod access;
pub mod address;
pub mod architecture;
pub mod batch_losses;
pub mod causes;
pub mod command_line;
pub mod computing;
pub mod config;
pub mod data_shape;
pub mod digests;
pub mod foreign;
mod hexadecimal;
pub mod ids;
pub mod interrupts;
pub mod labels;
pub mod launcher;
pub mod metrics;
mod nearest;
pub mod plan;
pub mod status;
pub mod telemetry;
mod tls_alert;
pub mod wire;

pub use hexadecimal::hexadecimal;
pub use nearest::nearest;
