//! One rank's device: what lies in its memory, and how it is asked for a step, told of samples and asked for the state.
//! `trainer::on_device` calls it; nothing here waits for a number.

use common::config::Config;
use tch::{Device, Kind, Tensor};

use super::copy::StateCopy;
use super::identity::Keys;
use super::numbers::{Orders, Report, Slots};
use super::record::DeviceRecord;
use super::recorded::{Recorded, Way};
use super::ring::{COPIES, Ring};
use super::samples::EpochSamples;
use super::shard::Shard;
use crate::bridge::device::Event;
use crate::bridge::graphs::GraphLibrary;
use crate::fault::{Faults, Flip};
use crate::mathematics::batch_terms::{TermValue, Terms};
use crate::network::ComputeError;
use crate::reduction::Reduction;
use crate::state::State;

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
    /// What of its loss looks at every sample of the batch.
    pub terms: Vec<TermValue>,
}

/// One rank's device, what lies in its memory, and what it was asked for.
pub struct Accelerator {
    pub(super) device: Device,
    /// Numbers that convolutions multiply.
    pub(super) products: Kind,
    pub(super) shards: Vec<Shard>,
    pub(super) copies: Vec<StateCopy>,
    /// Which of the copies are in use for what.
    pub ring: Ring<Marker>,
    pub(super) slots: Slots,
    pub(super) record: DeviceRecord,
    pub(super) samples: EpochSamples,
    /// Whether the samples are those of the current epoch.
    pub(super) has_samples: bool,
    pub(super) recorded: Recorded,
    /// Every pixel value as the network takes it, `[256]`.
    pub(super) table: Tensor,
    /// The classes' numbers, `[1, classes]`.
    pub(super) classes: Tensor,
    /// Where the ranks prove that they agree.
    pub(super) keys: Option<Keys>,
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
    /// Samples of a step, all ranks' together.
    pub batch: usize,
    /// Ranks that prove to each other that they agree; 0 where they do not.
    pub compared: usize,
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
    /// What of the loss looks at every sample of the batch; the host computes it, and waits for the device until then.
    pub terms: &'a Terms,
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
        let (dim, classes) = (state.dim(), state.classes() as i64);
        let rows = sizes.batch * (dim + 2);
        let keys = (sizes.compared > 0)
            .then(|| Keys::for_numbers(state.flat.numel().max(rows), device))
            .transpose()?;
        Ok(Self {
            device,
            products,
            shards: (0..sizes.shards)
                .map(|_| Shard::new(&state.layout, (kind, device)))
                .collect::<Result<_, _>>()?,
            copies,
            ring: Ring::default(),
            slots: Slots::new(device, sizes.compared)?,
            keys,
            record: DeviceRecord::of(&state.record, (sizes.epoch_samples, dim), device)?,
            samples: EpochSamples::with_room_for(
                sizes.own_samples,
                state.layout.architecture.data.numbers(),
                device,
            )?,
            has_samples: false,
            recorded,
            table: Tensor::from_slice(table).f_to_kind(kind)?.f_to_device(device)?,
            classes: Tensor::f_arange(classes, (Kind::Int64, device))?.f_view([1, -1])?,
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
    pub fn take_samples(&mut self, pixels: &[u8], labels: &[u16]) -> Result<(), ComputeError> {
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
        let (report, terms) = match self.recorded.way(slot, batch) {
            Way::Ask => self.step(state, slot, request)?,
            Way::Record(library) => (self.record(library, (state, slot), request)?, Vec::new()),
            Way::Replay => {
                request.faults.pass_a_whole_step();
                (self.replay(slot, request.reduction)?, Vec::new())
            }
        };
        self.slots.fetch(slot, &report)?;
        let event = self.mark()?;
        self.ring.push(Marker { event, slot, batch, learning_rate, terms });
        Ok(())
    }

    /// Records a step and runs what was recorded.
    fn record(
        &mut self,
        library: &'static GraphLibrary,
        (state, slot): (&State, usize),
        request: StepRequest<'_>,
    ) -> Result<Tensor, ComputeError> {
        let StepRequest { config, reduction, faults, batch, orders, terms } = request;
        reduction.set_recording(true);
        let recording = library.record(|| {
            let reduction = &mut *reduction;
            let request = StepRequest { config, reduction, faults, batch, orders, terms };
            Ok(self.step(state, slot, request)?.0)
        });
        reduction.set_recording(false);
        match recording {
            Ok((graph, report)) => {
                self.recorded.keep(slot, graph, report);
                self.replay(slot, reduction)
            }
            Err(error) => {
                self.recorded.give_up(error)?;
                let request = StepRequest { config, reduction, faults, batch, orders, terms };
                Ok(self.step(state, slot, request)?.0)
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

    /// What this rank would claim of the copy of the newest committed state; nothing where that is not compared. Waits for
    /// the device.
    ///
    /// # Errors
    /// The device failed.
    pub fn identity(&self) -> Result<Option<u64>, ComputeError> {
        let copy = &self.copies[self.ring.newest()];
        let identity = self.keys.as_ref().map(|keys| keys.of_copy(copy)).transpose()?;
        let number = |identity: Tensor| Ok(i64::try_from(identity)?.cast_unsigned());
        identity.map(number).transpose()
    }

    /// Changes a bit of the newest committed state, as a test wants it.
    pub fn strike(&mut self, flip: Flip) {
        self.copies[self.ring.newest()].strike(flip);
    }

    /// The report of a step whose event is reached.
    ///
    /// # Errors
    /// The memory is not what it was made as.
    pub fn report(&self, slot: usize) -> Result<Report, ComputeError> {
        self.slots.report(slot)
    }

    /// A place after everything that the device was asked for.
    ///
    /// # Errors
    /// The device failed.
    pub fn mark(&self) -> Result<Event, ComputeError> {
        Ok(Event::record(self.device)?)
    }

    /// Brings the newest committed state into `state`, and `samples` rows of the epoch's record. Waits for the device.
    ///
    /// # Errors
    /// The device failed.
    pub fn bring_back(&self, state: &mut State, samples: usize) -> Result<(), ComputeError> {
        self.copies[self.ring.newest()].bring_back(state)?;
        self.record.bring_back(&mut state.record, samples)
    }
}
