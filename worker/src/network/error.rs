//! Why a computation fails, on a CPU or a device.

use std::time::Duration;

use common::batch_losses::BatchError;

use crate::bridge::BridgeError;
use crate::collective::CollectiveError;

/// Why a computation failed.
#[derive(Debug, thiserror::Error)]
pub enum ComputeError {
    /// libtorch refused or ran out of memory.
    #[error("libtorch failed: {0}")]
    Torch(#[from] tch::TchError),
    /// A tensor could not cross to C++ or to a slice.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// A reduction failed.
    #[error(transparent)]
    Collective(#[from] CollectiveError),
    /// What was gathered of a step is no batch.
    #[error("what the ranks have gathered of a step is no batch: {0}")]
    Batch(#[from] BatchError),
    /// A device does not get past what it was asked for, though no exchange is waited for any more.
    #[error(
        "the device was not done with its work within {after:?}: it hangs; `nvidia-smi` and the system's log (Xid) tell \
         more"
    )]
    DeviceHangs {
        /// How long was waited for it.
        after: Duration,
    },
    /// `--cuda-graph on` with exchanges that no graph can hold.
    #[error(
        "--cuda-graph on: this generation's exchanges go through the CPU's memory, which no graph can hold; use \
         --cuda-graph auto, or exchange through NCCL"
    )]
    ExchangesCannotBeRecorded,
    /// `--cuda-graph on` with a loss whose terms look at the whole batch.
    #[error(
        "--cuda-graph on: of the loss's terms over the whole batch the CPU computes a part in every step, which no graph \
         can hold; use --cuda-graph auto"
    )]
    LossCannotBeRecorded,
}
