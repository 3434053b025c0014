//! Why a trainer cannot go on.

use common::ids::{Epoch, Step};
use common::status::ServiceError;

use super::disagreement::Disagreement;
use crate::collective::CollectiveError;
use crate::machine::device_fault::DeviceFault;
use crate::network::ComputeError;
use crate::results::artist::ArtistError;
use crate::results::epoch_features::FeatureError;
use crate::results::picture::PictureError;
use crate::state::ArchiveError;

/// Why a trainer cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainerError {
    /// The loss is no finite number: nothing of this step was kept.
    #[error(
        "the loss is {loss} at step {step} (epoch {epoch}): {}",
        cause_of_the_loss(*step)
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
        "step {step} (epoch {epoch}) has left parameters that are no finite numbers: {DIVERGED}"
    )]
    NonFiniteState {
        /// Epoch of the step.
        epoch: Epoch,
        /// The step, counted from 0 over the run.
        step: Step,
    },
    /// The ranks have not computed the same.
    #[error(transparent)]
    Disagreement(#[from] Box<Disagreement>),
    /// The state that this worker kept between two generations is not the one that it was.
    #[error(
        "numbers of the run's state have changed in this worker's memory between two generations; it is dropped. The \
         memory may be faulty: test it before this machine takes part again"
    )]
    Rotted,
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
    /// What a member sent as the run's state cannot be read.
    #[error("the state that another worker sent cannot be read: {0}")]
    Transfer(String),
    /// The coordinator took this worker for one that has the run's state.
    #[error("the coordinator counts on a state that this worker does not have; this is a defect")]
    NoState,
    /// TF32 is asked for where it does not exist.
    #[error(
        "--precision tf32 is a mode of NVIDIA GPUs and this worker computes on the CPU: start the run with \
         --precision f32 or bf16"
    )]
    Tf32OnCpu,
    /// The system gives no more threads.
    #[error("cannot start the threads of the trainer: {0}")]
    Threads(String),
    /// A defect.
    #[error("the {0} thread panicked; this is a defect, its message is above")]
    Panicked(&'static str),
}

/// What another learning rate can change.
const DIVERGED: &str =
    "training diverged, nothing of this step is kept; try a lower --lr, or --warmup-steps";

/// Before the first step no rate has been applied.
fn cause_of_the_loss(step: Step) -> &'static str {
    match step.0 {
        0 => {
            "no parameter has changed yet, so this is not the learning rate's fault; what the run begins with is too \
             large to compute with: look at the file of --init-from and at the settings of the loss"
        }
        _ => DIVERGED,
    }
}

/// What a trainer's error means for its worker and for the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The generation is broken, by another rank's end or the coordinator's. The state is whole.
    GenerationBroken,
    /// This worker is of no more use; another may be.
    WorkerFailed,
    /// Every worker would meet the same.
    RunFailed,
}

impl TrainerError {
    /// Whether every rank meets this in the same step, with nothing lost but that step.
    pub fn is_divergence(&self) -> bool {
        matches!(self, Self::NonFinite { .. } | Self::NonFiniteState { .. })
    }

    /// Whether what this rank holds afterwards is the state of a step that is done, all of it.
    pub fn leaves_the_state_whole(&self) -> bool {
        !matches!(self, Self::Disagreement(disagreement) if !disagreement.keeps)
    }

    /// What a failure on a GPU means for the user.
    pub fn device_fault(&self) -> Option<DeviceFault> {
        match self {
            Self::Compute(
                error @ (ComputeError::Torch(_)
                | ComputeError::Bridge(_)
                | ComputeError::Collective(
                    CollectiveError::Unusable { .. }
                    | CollectiveError::NotRecorded { .. }
                    | CollectiveError::Unsuitable(_),
                )),
            ) => DeviceFault::of(&error.to_string()),
            _ => None,
        }
    }

    /// What follows from it.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Compute(ComputeError::Collective(CollectiveError::Refused(_))) => {
                Verdict::RunFailed
            }
            Self::Compute(ComputeError::Collective(
                CollectiveError::Unsuitable(_)
                | CollectiveError::Unusable { .. }
                | CollectiveError::NotRecorded { .. }
                | CollectiveError::OwnAddress { .. },
            ))
            | Self::Threads(_)
            | Self::Panicked(_)
            | Self::Rotted
            | Self::NoState => Verdict::WorkerFailed,
            Self::Disagreement(disagreement) if disagreement.is_guilty() => Verdict::WorkerFailed,
            Self::Disagreement(disagreement) if disagreement.is_undecided() => Verdict::RunFailed,
            Self::Disagreement(_) => Verdict::GenerationBroken,
            Self::Compute(ComputeError::Collective(_)) | Self::Transfer(_) => {
                Verdict::GenerationBroken
            }
            Self::Compute(_) => Verdict::WorkerFailed,
            Self::Service(error) => match error {
                ServiceError::Ending(_)
                | ServiceError::Unreachable(_)
                | ServiceError::TimedOut(_)
                | ServiceError::Stale(_) => Verdict::GenerationBroken,
                _ => Verdict::RunFailed,
            },
            Self::NonFinite { .. }
            | Self::NonFiniteState { .. }
            | Self::Archive(_)
            | Self::Features(_)
            | Self::Picture(_)
            | Self::Tf32OnCpu => Verdict::RunFailed,
        }
    }
}

impl From<CollectiveError> for TrainerError {
    fn from(error: CollectiveError) -> Self {
        Self::Compute(error.into())
    }
}

impl From<ArtistError> for TrainerError {
    fn from(error: ArtistError) -> Self {
        match error {
            ArtistError::Service(error) => error.into(),
            ArtistError::Features(error) => error.into(),
            ArtistError::Picture(error) => error.into(),
            ArtistError::Panicked => Self::Panicked("artist"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_that_no_rate_has_spoilt_is_not_blamed_on_it() {
        let at = |step| {
            let error =
                TrainerError::NonFinite { epoch: Epoch(0), step: Step(step), loss: f64::NAN };
            error.to_string()
        };
        assert!(at(0).contains("--init-from") && !at(0).contains("--lr"), "{}", at(0));
        assert!(at(1).contains("try a lower --lr"), "{}", at(1));
    }

    #[test]
    fn an_own_address_that_is_wrong_is_this_workers_failure() {
        let verdict = |error: CollectiveError| TrainerError::from(error).verdict();
        let (address, reason) = ("192.0.2.1".to_string(), "not here".to_string());
        assert_eq!(
            verdict(CollectiveError::OwnAddress { address, reason: reason.clone() }),
            Verdict::WorkerFailed
        );
        assert_eq!(
            verdict(CollectiveError::Connect { world_size: 2, reason }),
            Verdict::GenerationBroken
        );
    }

    #[test]
    fn a_step_that_this_gpu_cannot_record_is_this_workers_failure() {
        let reason =
            "ncclAllReduce: unhandled cuda error (Cuda failure 2 'out of memory')".to_string();
        let here = TrainerError::from(CollectiveError::NotRecorded { reason: reason.clone() });
        assert_eq!(here.verdict(), Verdict::WorkerFailed);
        assert_eq!(here.device_fault(), Some(DeviceFault::OutOfMemory));
        let staging = TrainerError::from(CollectiveError::Unsuitable(
            "libtorch failed to copy a tensor: CUDA error: an illegal memory access".to_string(),
        ));
        assert_eq!(staging.device_fault(), Some(DeviceFault::Kernel));
        let elsewhere = TrainerError::from(CollectiveError::Nccl { reason });
        assert_eq!(elsewhere.verdict(), Verdict::GenerationBroken);
        assert_eq!(elsewhere.device_fault(), None);
    }
}
