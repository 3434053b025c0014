//! What a generation's trainer is given: the session fills it in from the coordinator's Start and what the worker is.

use std::sync::Arc;

use common::computing::Proof;
use common::config::Config;
use common::data_shape::DataShape;
use common::ids::{Epoch, Rank, WorldSize};
use engine::Instructions;

use super::origin::Origin;
use super::progress::Progress;
use super::request::Requests;
use crate::collective::AbortHandle;
use crate::collective::agreement::CollectiveOptions;
use crate::fault::Faults;
use crate::link::Link;
use crate::machine::device::Place;
use crate::machine::graphs::Graphs;

/// What the coordinator says of the run's data.
#[derive(Clone, Debug)]
pub struct RunFacts {
    /// Training samples in use.
    pub train_samples: usize,
    /// Test samples in use, 0 for no evaluation.
    pub test_samples: usize,
    /// Name of the data set.
    pub dataset: String,
    /// Of its images, and how many classes there are.
    pub data: DataShape,
    /// A name for each class.
    pub class_names: Arc<[String]>,
}

/// What a generation's trainer is given.
pub struct Task {
    /// The run's settings.
    pub config: Config,
    /// The run's data.
    pub facts: RunFacts,
    /// Where the state comes from.
    pub origin: Origin,
    /// The first complete epoch whose picture may be missing.
    pub pictures_from: Epoch,
    /// This process's rank.
    pub rank: Rank,
    /// Ranks of the generation.
    pub world_size: WorldSize,
    /// Host or address at which peers reach this rank.
    pub address: String,
    /// The run ends: no step is taken, the state is stored.
    pub only_store: bool,
    /// What the run's members have proved to compute, to be kept with the state.
    pub proof: Option<Proof>,
    /// Where and how to compute.
    pub place: Place,
    /// What records steps.
    pub graphs: Graphs,
    /// What carries the sums.
    pub collective: CollectiveOptions,
    /// Logical shards computed side by side.
    pub parallel: usize,
    /// What a CPU computes with.
    pub instructions: Instructions,
    /// The line to the coordinator.
    pub link: Link,
    /// Ends the collectives from another thread.
    pub abort: AbortHandle,
    /// Where the trainer tells what it does.
    pub progress: Progress,
    /// What the session asks for.
    pub requests: Requests,
    /// Where a test ends this worker.
    pub faults: Faults,
}
