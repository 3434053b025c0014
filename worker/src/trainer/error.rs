//! Why a trainer cannot go on.

use common::ids::{Epoch, Step};
use common::status::ServiceError;

use crate::checkpoint::tensors::ArchiveError;
use crate::collective::CollectiveError;
use crate::epoch_features::FeatureError;
use crate::network::ComputeError;
use crate::picture::PictureError;

/// Why a trainer cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainerError {
    /// The loss is no finite number: nothing of this step was kept.
    #[error(
        "the loss is {loss} at step {step} (epoch {epoch}): training diverged, nothing of this step is kept; try a \
         lower --lr, or --warmup-steps"
    )]
    NonFinite {
        /// Epoch of the step.
        epoch: Epoch,
        /// The step, counted from 0 over the run.
        step: Step,
        /// The loss.
        loss: f64,
    },
    /// The loss was finite, but what the step made of the parameters is not: nothing of it was stored.
    #[error(
        "step {step} (epoch {epoch}) has left parameters that are no finite numbers: training diverged, nothing of \
         this step is kept; try a lower --lr, or --warmup-steps"
    )]
    NonFiniteState {
        /// Epoch of the step.
        epoch: Epoch,
        /// The step, counted from 0 over the run.
        step: Step,
    },
    /// A kernel or a reduction failed.
    #[error(transparent)]
    Compute(#[from] ComputeError),
    /// The coordinator refused or is out of reach.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The state cannot be saved or restored.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A feature file cannot be written or read.
    #[error(transparent)]
    Features(#[from] FeatureError),
    /// A picture cannot be drawn.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The system gives no more threads.
    #[error("cannot start the threads of the trainer: {0}")]
    Threads(String),
    /// A defect.
    #[error("the {0} thread panicked; this is a defect, its message is above")]
    Panicked(&'static str),
}

impl TrainerError {
    /// Whether every rank meets this in the same step, with nothing lost but that step.
    pub fn is_divergence(&self) -> bool {
        matches!(self, Self::NonFinite { .. } | Self::NonFiniteState { .. })
    }

    /// Whether this is the consequence of another rank's end or of the generation's, not a cause.
    pub fn is_consequence(&self) -> bool {
        match self {
            Self::Compute(ComputeError::Collective(error)) => {
                !matches!(error, CollectiveError::Unsuitable(_))
            }
            Self::Service(ServiceError::Ending(_)) => true,
            _ => false,
        }
    }
}

impl From<CollectiveError> for TrainerError {
    fn from(error: CollectiveError) -> Self {
        Self::Compute(error.into())
    }
}
