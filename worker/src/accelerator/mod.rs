//! Training on an accelerator: a step is asked for, not waited for.
//!
//! The host tells the device what to do a step ahead and learns of losses and the like when they are there; what decides
//! whether a step counts is computed on the device. Nothing here is CUDA's own: every operation is one of libtorch's, so
//! the same code runs on a CPU, where `--engine tensors` chooses it, and is tested there.
//!
//! - [`ring`]: the copies of the state, and which steps are under way (pure);
//! - [`copy`], [`record`], [`samples`]: the state, the epoch so far and the epoch's samples in the device's memory;
//! - [`numbers`]: what a step is told and what it tells;
//! - [`recorded`]: steps that are recorded once and replayed;
//! - [`pass`], [`shard`], [`norm`], [`losses`]: the network and its losses;
//! - [`mod@commit`]: the next copy of the state;
//! - [`evaluate`]: the test set.
//!
//! The trainer (`trainer::on_device`) drives it.

pub mod commit;
pub mod copy;
pub mod evaluate;
pub mod losses;
pub mod norm;
pub mod numbers;
pub mod pass;
pub mod record;
pub mod recorded;
pub mod ring;
pub mod samples;
pub mod shard;

use common::architecture::CLASSES;
use common::config::{Config, Loss};
use common::ids::LogicalShard;
use common::plan;
use tch::{Device, Kind, Tensor};

use crate::bridge::device::Event;
use crate::bridge::graphs::GraphLibrary;
use crate::fault::{Faults, Phase};
use crate::network::layers::channels_last;
use crate::network::{ComputeError, Weights};
use crate::reduction::Reduction;
use crate::reduction::on_device::Contribution;
use crate::state::State;
use commit::{Found, commit};
use copy::StateCopy;
use losses::{CenterLoss, LossContext};
use norm::NormParameters;
use numbers::{DeviceOrders, Orders, Slots};
use pass::{Forward, Head, Pass};
use record::DeviceRecord;
use recorded::{Recorded, Way};
use ring::{COPIES, Ring};
use samples::EpochSamples;
use shard::Shard;

/// Numbers of a rank's rows before its samples: what it was asked for, and how many uploads it knows to be stored.
const WISHES: usize = 2;

/// A step that the device was asked for.
#[derive(Debug)]
pub struct Marker {
    /// After the step's last operation.
    pub event: Event,
    /// Where its report arrives.
    pub slot: usize,
    /// Samples of its global batch.
    pub batch: usize,
    /// Its learning rate.
    pub learning_rate: f64,
}

/// One rank's device, what lies in its memory, and what it was asked for.
pub struct Accelerator {
    device: Device,
    /// Numbers that convolutions multiply.
    products: Kind,
    shards: Vec<Shard>,
    copies: Vec<StateCopy>,
    /// Which of the copies are in use for what.
    pub ring: Ring<Marker>,
    slots: Slots,
    record: DeviceRecord,
    samples: EpochSamples,
    /// Whether the samples are those of the current epoch.
    has_samples: bool,
    recorded: Recorded,
    /// Every pixel value as the network takes it, `[256]`.
    table: Tensor,
    /// The classes' numbers, `[1, classes]`.
    classes: Tensor,
}

/// What a rank has to do with in a generation.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Logical shards that it computes.
    pub shards: usize,
    /// Samples of an epoch, all ranks' together.
    pub epoch_samples: usize,
    /// Samples of an epoch that it consumes.
    pub own_samples: usize,
}

/// What a step needs beside the device.
pub struct StepRequest<'a> {
    /// The run's settings.
    pub config: &'a Config,
    /// The generation's sums.
    pub reduction: &'a mut Reduction,
    /// Where a test ends this worker.
    pub faults: &'a Faults,
    /// Samples of the global batch.
    pub batch: usize,
    /// What the device is told.
    pub orders: Orders,
}

impl Accelerator {
    /// `state` in the memory of `device`, for a rank of these sizes.
    ///
    /// # Errors
    /// The device failed, or has too little memory.
    pub fn new(
        state: &State,
        (device, products): (Device, Kind),
        (sizes, recorded): (&Sizes, Recorded),
        table: &[f64],
    ) -> Result<Self, ComputeError> {
        let kind = state.flat.kind();
        let first = StateCopy::of(state, device)?;
        let mut copies = vec![first];
        while copies.len() < COPIES {
            copies.push(copies[0].duplicate()?);
        }
        let dim = state.centers.len() / CLASSES;
        Ok(Self {
            device,
            products,
            shards: (0..sizes.shards)
                .map(|_| Shard::new(&state.layout, (kind, device)))
                .collect::<Result<_, _>>()?,
            copies,
            ring: Ring::default(),
            slots: Slots::new(device)?,
            record: DeviceRecord::of(&state.record, (sizes.epoch_samples, dim), device)?,
            samples: EpochSamples::with_room_for(sizes.own_samples, device)?,
            has_samples: false,
            recorded,
            table: Tensor::from_slice(table).f_to_kind(kind)?.f_to_device(device)?,
            classes: Tensor::f_arange(CLASSES as i64, (Kind::Int64, device))?.f_view([1, -1])?,
        })
    }

    /// Whether this epoch's samples are there.
    pub fn has_samples(&self) -> bool {
        self.has_samples
    }

    /// Takes what this rank consumes in the rest of an epoch.
    ///
    /// # Errors
    /// They are more than a whole epoch's, or the device failed.
    pub fn take_samples(&mut self, pixels: &[u8], labels: &[u8]) -> Result<(), ComputeError> {
        self.samples.fill(pixels, labels)?;
        self.has_samples = true;
        Ok(())
    }

    /// The epoch is over: its samples are of no more use.
    pub fn drop_samples(&mut self) {
        self.has_samples = false;
    }

    /// Asks for a step, whose marker joins the ring.
    ///
    /// # Errors
    /// The device failed, a peer is lost, or the generation was aborted.
    ///
    /// # Panics
    /// If the ring is full, or the epoch's samples were not taken.
    pub fn ask(&mut self, state: &State, request: StepRequest<'_>) -> Result<(), ComputeError> {
        assert!(self.has_samples, "the epoch's samples were taken");
        let slot = self.ring.target();
        let learning_rate = request.orders.learning_rate;
        let batch = request.batch;
        self.slots.send(slot, request.orders)?;
        let report = match self.recorded.way(slot, batch) {
            Way::Ask => self.step(state, slot, request)?,
            Way::Record(library) => self.record(library, (state, slot), request)?,
            Way::Replay => {
                request.faults.pass_a_whole_step();
                self.replay(slot, request.reduction)?
            }
        };
        self.slots.fetch(slot, &report)?;
        let event = Event::record(self.device)?;
        self.ring.push(Marker { event, slot, batch, learning_rate });
        Ok(())
    }

    /// Records a step and runs what was recorded.
    fn record(
        &mut self,
        library: &'static GraphLibrary,
        (state, slot): (&State, usize),
        request: StepRequest<'_>,
    ) -> Result<Tensor, ComputeError> {
        let StepRequest { config, reduction, faults, batch, orders } = request;
        reduction.set_recording(true);
        let recording = library.record(|| {
            let request = StepRequest { config, reduction: &mut *reduction, faults, batch, orders };
            self.step(state, slot, request)
        });
        reduction.set_recording(false);
        match recording {
            Ok((graph, report)) => {
                self.recorded.keep(slot, graph, report);
                self.replay(slot, reduction)
            }
            Err(error) => {
                self.recorded.give_up(error)?;
                self.step(state, slot, StepRequest { config, reduction, faults, batch, orders })
            }
        }
    }

    /// Replays the recording of a slot; its report.
    fn replay(&self, slot: usize, reduction: &mut Reduction) -> Result<Tensor, ComputeError> {
        // What was recorded belongs to exchanges that may have ended.
        reduction.check()?;
        let report = self.recorded.replay(slot)?;
        reduction.replayed()?;
        Ok(report)
    }

    /// Forgets every recording: exchanges do not end while one of theirs may be replayed.
    pub fn forget_recordings(&mut self) {
        self.recorded.forget();
    }

    /// The report of a step whose event is reached.
    ///
    /// # Errors
    /// The memory is not what it was made as.
    pub fn report(&self, slot: usize) -> Result<numbers::Report, ComputeError> {
        self.slots.report(slot)
    }

    /// Brings the newest committed state into `state`, and `samples` rows of the epoch's record. Waits for the device.
    ///
    /// # Errors
    /// The device failed.
    pub fn bring_back(&self, state: &mut State, samples: usize) -> Result<(), ComputeError> {
        self.copies[self.ring.newest()].bring_back(state)?;
        self.record.bring_back(&mut state.record, samples)
    }

    /// The parameters of one copy of the state as kernels take them.
    fn weights(&self, state: &State, copy: usize) -> Result<Weights, ComputeError> {
        let weights = Weights::of(&state.layout, &self.copies[copy].flat, self.products)?;
        // As a GPU's matrix units take them; what a convolution makes lies so, too. cuDNN has no such kernels in 64 bits.
        if self.products == Kind::Double {
            return Ok(weights);
        }
        let kernels = weights.convolutions.into_iter().map(channels_last);
        Ok(Weights { convolutions: kernels.collect::<Result<_, _>>()?, ..weights })
    }

    fn norms(&self, state: &State, copy: usize) -> Result<Vec<NormParameters>, ComputeError> {
        let flat = &self.copies[copy].flat;
        let norm = |norm: &_| NormParameters::of(&state.layout, flat, *norm);
        state.layout.norms.iter().map(norm).collect()
    }

    /// Everything from the step's samples to the next copy of the state; its report.
    fn step(
        &mut self,
        state: &State,
        target: usize,
        request: StepRequest<'_>,
    ) -> Result<Tensor, ComputeError> {
        let StepRequest { config, reduction, faults, batch, orders: _ } = request;
        let source = self.ring.source();
        let weights = self.weights(state, source)?;
        let norms = self.norms(state, source)?;
        let Self { shards, slots, samples, table, .. } = self;
        let orders = slots.on_device(target);
        load(shards, samples, orders, (reduction, config, batch), table)?;
        let (device, kind) = (self.device, weights.heads[0].kind());
        faults.point(Phase::Forward);
        let mut pass = Pass {
            shards,
            weights: &weights,
            norms: &norms,
            reduction,
            batch,
            device,
            kind,
            faults,
        };
        let forward = pass.forward(&self.classes)?;
        let centers = &self.copies[source].centers;
        let context = context(config, centers, &forward, (batch, &self.classes))?;
        let head = pass.head(&forward, &context)?;
        let numbers = row_numbers(pass.reduction, config, batch);
        let contribution = contribution(&head, orders, &context)?;
        let (partials, rows) = (&contribution.0, contribution.1);
        let length = context.sums() as usize;
        let contribution = Contribution { partials, length, rows, row_numbers: &numbers };
        let results = pass.reduction.start_sum_on_device(contribution)?;
        faults.point(Phase::Backward);
        let gradient = pass.backward(&forward, head)?;
        let results = pass.reduction.finish_sum_on_device(results)?;
        faults.point(Phase::Optimizer);
        let (rows, wishes) = split(&results.rows, &numbers, context.dim + 2)?;
        self.record.write(&orders.record_rows(batch)?, &rows)?;
        let found = Found {
            gradient: &gradient,
            statistics: &forward.statistics,
            sums: &results.sum,
            center: context.center.as_ref(),
            batch,
            wishes: &wishes,
        };
        let (source, target) = two(&mut self.copies, source, target);
        commit(&found, (source, target), orders, config)
    }
}

/// Gives every shard its samples of the step.
fn load(
    shards: &mut [Shard],
    samples: &EpochSamples,
    orders: &DeviceOrders,
    (reduction, config, batch): (&Reduction, &Config, usize),
    table: &Tensor,
) -> Result<(), ComputeError> {
    let owned = reduction.owned();
    let together = plan::slices(batch, config.shard_count(), &owned).len();
    let (pixels, labels) = samples.at(&orders.sample_places(together)?)?;
    let mut first = 0;
    for (index, shard) in owned.zip(shards) {
        let slice = plan::slice(batch, config.shard_count(), LogicalShard(index as u32));
        let count = slice.len() as i64;
        shard.load(&pixels.f_narrow(0, first, count)?, labels.f_narrow(0, first, count)?, table)?;
        first += count;
    }
    Ok(())
}

fn context(
    config: &Config,
    centers: &Tensor,
    forward: &Forward,
    (batch, classes): (usize, &Tensor),
) -> Result<LossContext, ComputeError> {
    let center = match config.loss {
        Loss::Center => Some(CenterLoss {
            centers: centers.f_to_kind(Kind::Double)?,
            counts: forward.counts.shallow_clone(),
            weight: config.center_weight,
        }),
        Loss::Softmax | Loss::CrossEntropy => None,
    };
    let dim = config.feature_dim as i64;
    Ok(LossContext { center, batch, dim, classes: classes.shallow_clone() })
}

/// Numbers that each rank's rows have.
fn row_numbers(reduction: &Reduction, config: &Config, batch: usize) -> Vec<usize> {
    let (world, shards) = (reduction.world_size(), config.shard_count());
    let samples = |rank| plan::slices(batch, shards, &plan::shards_of(shards, world, rank)).len();
    let width = config.feature_dim as usize + 2;
    world.ranks().map(|rank| WISHES + samples(rank) * width).collect()
}

/// This rank's sums of each shard, and its rows: wishes, then samples.
fn contribution(
    head: &Head,
    orders: &DeviceOrders,
    context: &LossContext,
) -> Result<(Vec<Tensor>, Tensor), ComputeError> {
    let partials: Vec<Tensor> = head.parts.iter().map(|part| part.sums.shallow_clone()).collect();
    debug_assert!(partials.iter().all(|sums| sums.size() == [context.sums()]));
    let mut rows = vec![orders.wishes()?];
    for part in &head.parts {
        rows.push(part.rows.f_reshape([-1])?);
    }
    Ok((partials, Tensor::f_cat(&rows, 0)?))
}

/// All ranks' rows as samples, `[batch, width]`, and as wishes: the strongest, and what the first rank has stored, `[2]`.
fn split(rows: &Tensor, numbers: &[usize], width: i64) -> Result<(Tensor, Tensor), ComputeError> {
    let mut samples = Vec::with_capacity(numbers.len());
    let mut asked = Vec::with_capacity(numbers.len());
    let mut first = 0;
    for numbers in numbers {
        asked.push(rows.f_narrow(0, first, 1)?);
        let (start, count) = (first + WISHES as i64, (*numbers - WISHES) as i64);
        samples.push(rows.f_narrow(0, start, count)?);
        first = start + count;
    }
    let strongest = Tensor::f_cat(&asked, 0)?.f_max()?.f_view([1])?;
    let stored = rows.f_narrow(0, 1, 1)?;
    let samples = Tensor::f_cat(&samples, 0)?.f_view([-1, width])?;
    Ok((samples, Tensor::f_cat(&[strongest, stored], 0)?))
}

/// Two different copies, one to read and one to write.
fn two(copies: &mut [StateCopy], read: usize, write: usize) -> (&StateCopy, &mut StateCopy) {
    let mut iter = copies.iter_mut().enumerate();
    let mut found = (None, None);
    for (index, copy) in &mut iter {
        if index == read {
            found.0 = Some(&*copy);
        } else if index == write {
            found.1 = Some(copy);
        }
    }
    match found {
        (Some(read), Some(write)) => (read, write),
        _ => unreachable!("a step never writes the copy it reads"),
    }
}
