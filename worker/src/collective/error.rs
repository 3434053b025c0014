//! Why a collective operation failed. After any of these but [`CollectiveError::Unsuitable`] the
//! group is of no more use: the next generation forms a new one. After
//! [`CollectiveError::OwnAddress`] that would meet the same.

use std::time::Duration;

use common::ids::Rank;

use crate::bridge::BridgeError;

/// What a rank learns instead of its peers' data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CollectiveError {
    /// Someone in this process called [`super::AbortHandle::abort`].
    #[error("the collective was aborted: {reason}")]
    Aborted {
        /// What they gave as the reason.
        reason: String,
    },
    /// The connection to a peer broke: its process ended, or left the group on a failure of its
    /// own. The first one found is not always the first that was lost; the coordinator knows.
    #[error("rank {rank} is lost: {reason}")]
    PeerLost {
        /// Whose data did not come or go.
        rank: Rank,
        /// What the transport says.
        reason: String,
    },
    /// A peer is connected but silent: it hangs, or waits for another.
    #[error("rank {rank} did not answer within {after:?}")]
    Timeout {
        /// Whose data did not come or go.
        rank: Rank,
        /// How long was waited for it.
        after: Duration,
    },
    /// A device did not finish a step in time: it hangs, or waits for a peer.
    #[error("the device did not finish a step within {after:?}")]
    Stalled {
        /// How long was waited for it.
        after: Duration,
    },
    /// An all-reduce of the engine failed. It does not say at which peer.
    #[error("the all-reduce failed: {reason}")]
    AllReduce {
        /// What the engine says.
        reason: String,
    },
    /// NCCL failed: a rank is lost, or something broke on the way. It does not say at which rank.
    #[error("NCCL failed: {reason}")]
    Nccl {
        /// What NCCL says.
        reason: String,
    },
    /// NCCL failed on this rank while a step was recorded.
    #[error(
        "a step cannot be recorded with its exchanges through NCCL: {reason}; start all workers with --cuda-graph auto"
    )]
    NotRecorded {
        /// What NCCL says.
        reason: String,
    },
    /// Exchanges were not done in time: some rank hangs, or waits for another.
    #[error("the other ranks did not answer within {after:?}")]
    Unanswered {
        /// How long was waited.
        after: Duration,
    },
    /// The engine does not work here, whoever the peers are.
    #[error("NCCL does not work here: {reason}; `--collective gloo` does without it")]
    Unusable {
        /// What it says.
        reason: String,
    },
    /// The workers' command lines ask for what they cannot have together; every rank finds the same.
    #[error("{0}")]
    Refused(String),
    /// The ranks did not come together.
    #[error("{world_size} ranks did not connect: {reason}")]
    Connect {
        /// How many should have.
        world_size: u32,
        /// What the engine or the store says.
        reason: String,
    },
    /// This rank cannot listen where its peers are to reach it, whoever they are.
    #[error(
        "this worker cannot listen at {address}, where the others are to reach it: {reason}; give --advertise a name or \
         an address of this machine"
    )]
    OwnAddress {
        /// What it was told to listen at.
        address: String,
        /// What the system says.
        reason: String,
    },
    /// The caller asked for something that cannot be: a peer that does not exist or is named
    /// twice, or a tensor that is not a contiguous CPU tensor. The group stays whole.
    #[error("{0}")]
    Unsuitable(String),
}

impl From<BridgeError> for CollectiveError {
    fn from(error: BridgeError) -> Self {
        Self::Unsuitable(error.to_string())
    }
}

impl From<tch::TchError> for CollectiveError {
    fn from(error: tch::TchError) -> Self {
        Self::Unsuitable(error.to_string())
    }
}
