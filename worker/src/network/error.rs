//! Why a computation fails, on a CPU or a device.

use std::time::Duration;

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
}
