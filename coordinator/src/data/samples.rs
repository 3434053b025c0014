//! Which samples a range of logical shards consumes, in the order of its steps, cut into blocks.
//!
//! `service::samples` streams them. The order comes from `common::plan`; the permutations of the epoch in training
//! and of the next one are kept. A stream is pulled block by block, so a slow receiver costs no memory; the data set
//! is held once and only read.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use common::config::Config;
use common::data_shape::DataShape;
use common::ids::{Epoch, Rank, Step, WorldSize};
use common::labels;
use common::plan::{self, Shuffle};
use common::status::ServiceError;
use dataset::Samples;
use proto::{CheckingRank, SampleBlock, SamplesRequest, Split};

use super::dataset::Data;

/// Bytes of images in a full block, unless a single one has more.
const BLOCK_BYTES: usize = 256 << 10;
/// Permutations kept: of the epoch in training and of the next.
const KEPT_PERMUTATIONS: usize = 2;

/// Answers requests for samples.
#[derive(Debug)]
pub struct SampleServer {
    data: Arc<Data>,
    plan: Plan,
    permutations: Mutex<Vec<(Epoch, Arc<[u32]>)>>,
}

/// The settings that decide who consumes what.
#[derive(Clone, Copy, Debug)]
struct Plan {
    batch_size: usize,
    test_batch_size: usize,
    logical_shards: usize,
    epochs: u64,
    seed: u64,
    shuffle: Shuffle,
    cross_check: u64,
}

/// The logical shards that are asked for.
enum Shards {
    /// Of every step.
    Range(Range<usize>),
    /// Those that this rank of so many checks.
    Checked((WorldSize, Rank)),
}

impl Shards {
    /// Of a step of the run.
    fn in_step(&self, plan: Plan, step: Step) -> Range<usize> {
        match self {
            Self::Range(shards) => shards.clone(),
            Self::Checked(_) if !plan::is_cross_checked(plan.cross_check, step) => 0..0,
            Self::Checked(rank) => {
                let of = (plan.seed, step);
                let shard = plan::cross_checked_shard(of, plan.logical_shards, *rank);
                shard.map_or(0..0, |shard| shard..shard + 1)
            }
        }
    }
}

impl SampleServer {
    /// Serves `data` in the order that `config` asks for.
    pub fn new(data: Arc<Data>, config: &Config) -> Self {
        let shuffle = if config.shuffle { Shuffle::EveryEpoch } else { Shuffle::FileOrder };
        let plan = Plan {
            batch_size: config.batch_size as usize,
            test_batch_size: config.test_batch_size as usize,
            logical_shards: config.shard_count(),
            epochs: config.epochs,
            seed: config.seed,
            shuffle,
            cross_check: config.cross_check,
        };
        Self { data, plan, permutations: Mutex::default() }
    }

    /// The blocks that a request asks for.
    ///
    /// # Errors
    /// A split, epoch, step, range of shards or rank that this run does not have.
    pub fn blocks(&self, request: &SamplesRequest) -> Result<Blocks, ServiceError> {
        let split = Split::try_from(request.split).map_err(|error| invalid(&error.to_string()))?;
        let shards = match request.checking {
            Some(checking) if split == Split::Train => Shards::Checked(self.checking(checking)?),
            Some(_) => return Err(invalid("only training steps are cross-checked")),
            None => Shards::Range(self.shards(request)?),
        };
        let (count, batch_size) = match split {
            Split::Train => (self.data.train.len(), self.plan.batch_size),
            Split::Test => (self.data.test.len(), self.plan.test_batch_size),
        };
        let steps = plan::steps_per_epoch(count, batch_size);
        if request.first_step > steps {
            let first = request.first_step;
            return Err(invalid(&format!("first step {first} of an epoch of {steps} steps")));
        }
        let order = match split {
            Split::Train => Some(self.permutation(Epoch(request.epoch))?),
            Split::Test => None,
        };
        let (plan, epoch) = (self.plan, request.epoch);
        let positions = (request.first_step..steps).flat_map(move |step| {
            let batch = plan::batch(count, batch_size, Step(step));
            let of_run = Step(epoch.saturating_mul(steps).saturating_add(step));
            let slice =
                plan::slices(batch.len(), plan.logical_shards, &shards.in_step(plan, of_run));
            batch.start + slice.start..batch.start + slice.end
        });
        Ok(Blocks { data: Arc::clone(&self.data), split, order, positions: Box::new(positions) })
    }

    fn shards(&self, request: &SamplesRequest) -> Result<Range<usize>, ServiceError> {
        let (first, end) = (request.first_shard as usize, request.end_shard as usize);
        if first > end || end > self.plan.logical_shards {
            let all = self.plan.logical_shards;
            return Err(invalid(&format!("logical shards {first}..{end} of a run that has {all}")));
        }
        Ok(first..end)
    }

    fn checking(&self, checking: CheckingRank) -> Result<(WorldSize, Rank), ServiceError> {
        let CheckingRank { rank, world_size } = checking;
        if rank >= world_size {
            return Err(invalid(&format!("what rank {rank} of {world_size} checks")));
        }
        Ok((WorldSize(world_size), Rank(rank)))
    }

    fn permutation(&self, epoch: Epoch) -> Result<Arc<[u32]>, ServiceError> {
        if epoch.0 >= self.plan.epochs {
            return Err(invalid(&format!("epoch {epoch} of a run of {}", self.plan.epochs)));
        }
        let mut kept = self.permutations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, order)) = kept.iter().find(|(of, _)| *of == epoch) {
            return Ok(Arc::clone(order));
        }
        let count = self.data.train.len();
        let order: Arc<[u32]> =
            plan::permutation(count, self.plan.seed, epoch, self.plan.shuffle).into();
        if kept.len() == KEPT_PERMUTATIONS {
            kept.remove(0);
        }
        kept.push((epoch, Arc::clone(&order)));
        Ok(order)
    }
}

fn invalid(what: &str) -> ServiceError {
    ServiceError::Invalid(format!("cannot stream samples: {what}"))
}

/// The blocks of one request, made when they are asked for.
pub struct Blocks {
    data: Arc<Data>,
    split: Split,
    /// From positions in the epoch to samples of the file; `None` is the file's order.
    order: Option<Arc<[u32]>>,
    positions: Box<dyn Iterator<Item = usize> + Send>,
}

impl Blocks {
    /// The samples at these positions of the epoch.
    fn block(&self, positions: &[usize], shape: DataShape) -> Result<SampleBlock, ServiceError> {
        let samples = self.samples();
        let mut images = Vec::with_capacity(positions.len() * shape.numbers());
        let mut classes = Vec::with_capacity(positions.len());
        for &position in positions {
            let row = self.order.as_ref().map_or(position, |order| order[position] as usize);
            samples.read_image(row, &mut images).map_err(|error| {
                ServiceError::Internal(format!("the data cannot be read any more: {error}"))
            })?;
            classes.push(samples.labels()[row]);
        }
        let labels = labels::to_bytes(&classes, shape.classes);
        Ok(SampleBlock { images: images.into(), labels: labels.into() })
    }

    fn samples(&self) -> &Samples {
        match self.split {
            Split::Train => &self.data.train,
            Split::Test => &self.data.test,
        }
    }
}

impl Iterator for Blocks {
    type Item = Result<SampleBlock, ServiceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let shape = self.data.identity.shape();
        let in_block = (BLOCK_BYTES / shape.numbers()).max(1);
        let positions: Vec<usize> = self.positions.by_ref().take(in_block).collect();
        (!positions.is_empty()).then(|| self.block(&positions, shape))
    }
}
