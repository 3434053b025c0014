//! Steps that are recorded once and then replayed with one call: asking for each of a step's hundreds of operations
//! takes the host longer than a GPU needs to run them.
//!
//! A recording holds the addresses that its operations read and write. All that a step depends on lies at one place for
//! the whole generation, or is a slot's: a slot has its own recording, which reads one copy of the state and writes the
//! next. What differs from step to step (learning rate, places of its samples) the step reads from its slot's orders.
//! Only steps of a whole batch are recorded; the short last one of an epoch is asked for as ever.

use tch::Tensor;

use super::ring::COPIES;
use crate::bridge::graphs::{Graph, GraphLibrary};
use crate::collective::Recordable;
use crate::machine::graphs::Graphs;
use crate::network::ComputeError;

/// Whole steps that are asked for before one is recorded: in the first ones libraries take memory and choose kernels,
/// which a recording must not contain.
const WARM_UP: usize = COPIES;

/// How the device is asked for a step.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// Operation by operation.
    Ask,
    /// Recorded by this library, then replayed.
    Record(&'static GraphLibrary),
    /// Replayed.
    Replay,
}

#[derive(Debug)]
struct RecordedStep {
    graph: Graph,
    /// Where each replay leaves the step's report.
    report: Tensor,
}

/// The recorded steps of a generation.
#[derive(Debug)]
pub struct Recorded {
    library: Option<&'static GraphLibrary>,
    required: bool,
    /// Samples of a whole step.
    batch: usize,
    /// Whole steps that were asked for since the last recording was forgotten.
    asked: usize,
    /// One a slot.
    steps: [Option<RecordedStep>; COPIES],
}

impl Recorded {
    /// None yet; steps have `batch` samples, and `exchanges` says whether a step's exchanges can be recorded.
    ///
    /// # Errors
    /// Recording is required and cannot be.
    pub fn new(graphs: &Graphs, batch: usize, exchanges: Recordable) -> Result<Self, ComputeError> {
        if graphs.required && exchanges == Recordable::No {
            return Err(ComputeError::ExchangesCannotBeRecorded);
        }
        let library = graphs.library.filter(|_| graphs.required || exchanges == Recordable::Yes);
        if graphs.library.is_some() && library.is_none() && exchanges == Recordable::IfRequired {
            tracing::info!(
                "steps are not recorded: exchanges through NCCL inside a CUDA graph have not been tried on a GPU yet; \
                 --cuda-graph on records them"
            );
        }
        if let Some(library) = library {
            tracing::info!(library = %library.path().display(), "steps are recorded and replayed");
        }
        let steps = std::array::from_fn(|_| None);
        Ok(Self { library, required: graphs.required, batch, asked: 0, steps })
    }

    /// How to ask for a step of `batch` samples in `slot`.
    pub fn way(&mut self, slot: usize, batch: usize) -> Way {
        let Some(library) = self.library.filter(|_| batch == self.batch) else { return Way::Ask };
        if self.steps[slot].is_some() {
            return Way::Replay;
        }
        if self.asked < WARM_UP {
            self.asked += 1;
            return Way::Ask;
        }
        Way::Record(library)
    }

    /// Keeps a slot's recording, whose report each replay leaves in `report`.
    pub fn keep(&mut self, slot: usize, graph: Graph, report: Tensor) {
        self.steps[slot] = Some(RecordedStep { graph, report });
    }

    /// Replays the recording of `slot`; its report.
    ///
    /// # Errors
    /// The device failed.
    ///
    /// # Panics
    /// If there is none.
    pub fn replay(&self, slot: usize) -> Result<Tensor, ComputeError> {
        let step = self.steps[slot].as_ref().expect("the slot's step was recorded");
        step.graph.replay()?;
        Ok(step.report.shallow_clone())
    }

    /// What was recorded reads memory that is no more.
    pub fn forget(&mut self) {
        self.steps = std::array::from_fn(|_| None);
        self.asked = 0;
    }

    /// A step could not be recorded: none is from now on.
    ///
    /// # Errors
    /// `error`, if recording is required, or if it was a peer that failed.
    pub fn give_up(&mut self, error: ComputeError) -> Result<(), ComputeError> {
        if self.required || matches!(error, ComputeError::Collective(_)) {
            return Err(error);
        }
        tracing::warn!(%error, "steps cannot be recorded here, and are asked for one operation at a time");
        self.forget();
        self.library = None;
        Ok(())
    }
}
