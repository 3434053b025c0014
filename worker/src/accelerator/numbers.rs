//! The few numbers that go to the device with each step and come back from it, through memory that neither side waits
//! for: one slot per step that may be under way.

use common::ids::Step;
use tch::{Device, Kind, Tensor};

use super::ring::COPIES;
use crate::bridge::device::{copy_without_waiting, staging_like};
use crate::bridge::{with_slice, with_slice_mut};
use crate::network::ComputeError;
use crate::reduction::halves;

/// What a step is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Orders {
    /// Of the network.
    pub learning_rate: f64,
    /// 1 − β₁ᵗ and √(1 − β₂ᵗ) of Adam's step t.
    pub adam_corrections: [f64; 2],
    /// What this rank was asked for, and how many uploads it knows to be stored.
    pub wishes: [f64; 2],
    /// The first of this rank's samples in its part of the epoch.
    pub first_sample: usize,
    /// The step's first sample in the epoch.
    pub first_row: usize,
    /// What this rank claims of what lies in the host's memory.
    pub claim: u64,
}

/// What a rank claims while a step is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceClaim {
    /// Of what the host knew when it asked for the step.
    pub host: u64,
    /// Of the copy of the state that the step reads.
    pub copy: u64,
}

/// What a step tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Mean negative log-likelihood.
    pub softmax_loss: f64,
    /// Center loss, 0 where it is switched off.
    pub center_loss: f64,
    /// Samples classified rightly.
    pub right: f64,
    /// The strongest wish of any rank.
    pub asked: f64,
    /// Uploads that the first rank knows to be stored.
    pub stored: f64,
    /// Whether all steps before were good: 1, else 0.
    pub good_before: f64,
    /// Whether the loss is finite.
    pub finite_loss: f64,
    /// Whether what the step made of the state is finite.
    pub finite_state: f64,
    /// Every rank's, in rank order; none where they are not compared.
    pub claims: Vec<DeviceClaim>,
}

/// Numbers of [`Orders`] on the device.
const ORDERS: usize = 9;
/// Numbers of a [`Report`] before the claims.
const REPORT: usize = 8;
/// Numbers of a [`DeviceClaim`].
pub const CLAIM: usize = 4;

/// What becomes of a step that has run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Its state counts.
    Committed,
    /// Its loss is no finite number; the state is that of the step before, and later steps leave it so.
    InfiniteLoss,
    /// Its loss was finite, but not the state it made; likewise.
    InfiniteState,
    /// An earlier step was not good.
    Frozen,
}

impl Report {
    /// What follows from it.
    pub fn verdict(&self) -> Verdict {
        if self.good_before != 1.0 {
            Verdict::Frozen
        } else if self.finite_loss != 1.0 {
            Verdict::InfiniteLoss
        } else if self.finite_state != 1.0 {
            Verdict::InfiniteState
        } else {
            Verdict::Committed
        }
    }

    fn from_numbers(numbers: &[f64]) -> Self {
        let (numbers, claims) = numbers.split_at(REPORT);
        let claim = |&[host_upper, host_lower, upper, lower]: &[f64; CLAIM]| DeviceClaim {
            host: halves::joined([host_upper, host_lower]),
            copy: halves::joined([upper, lower]),
        };
        let claims = claims.as_chunks().0.iter().map(claim).collect();
        let [
            softmax_loss,
            center_loss,
            right,
            asked,
            stored,
            good_before,
            finite_loss,
            finite_state,
        ] = numbers.try_into().expect("a report has as many numbers");
        Self {
            softmax_loss,
            center_loss,
            right,
            asked,
            stored,
            good_before,
            finite_loss,
            finite_state,
            claims,
        }
    }
}

/// [`Orders`] as the device reads them.
#[derive(Debug)]
pub struct DeviceOrders(Tensor);

impl DeviceOrders {
    /// The learning rate, one number of `kind`.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn learning_rate(&self, kind: Kind) -> Result<Tensor, ComputeError> {
        Ok(self.0.f_narrow(0, 0, 1)?.f_to_kind(kind)?)
    }

    /// Adam's corrections.
    ///
    /// # Errors
    /// libtorch failed.
    pub fn adam_corrections(&self) -> Result<[Tensor; 2], ComputeError> {
        Ok([self.0.f_select(0, 1)?, self.0.f_select(0, 2)?])
    }

    /// `[2]`.
    ///
    /// # Errors
    /// libtorch failed.
    pub fn wishes(&self) -> Result<Tensor, ComputeError> {
        Ok(self.0.f_narrow(0, 3, 2)?)
    }

    /// Two halves, `[2]`.
    ///
    /// # Errors
    /// libtorch failed.
    pub fn claim(&self) -> Result<Tensor, ComputeError> {
        Ok(self.0.f_narrow(0, 7, 2)?)
    }

    /// The places of `count` samples from the first one of this rank's, as indices.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn sample_places(&self, count: usize) -> Result<Tensor, ComputeError> {
        self.places(5, count)
    }

    /// The rows of the epoch's record that the step's `count` samples fill.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn record_rows(&self, count: usize) -> Result<Tensor, ComputeError> {
        self.places(6, count)
    }

    fn places(&self, first: i64, count: usize) -> Result<Tensor, ComputeError> {
        let from_zero = Tensor::f_arange(count as i64, (Kind::Int64, self.0.device()))?;
        Ok(from_zero.f_add(&self.0.f_narrow(0, first, 1)?.f_to_kind(Kind::Int64)?)?)
    }
}

/// One slot: where a step's numbers lie on either side.
#[derive(Debug)]
struct Slot {
    orders: Tensor,
    on_device: DeviceOrders,
    report: Tensor,
}

/// The slots of the steps that may be under way.
#[derive(Debug)]
pub struct Slots(Vec<Slot>);

impl Slots {
    /// For steps on `device` that tell of so many ranks' claims.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn new(device: Device, claims: usize) -> Result<Self, ComputeError> {
        let slot = |_| {
            let orders = Tensor::f_zeros([ORDERS as i64], (Kind::Double, device))?;
            let numbers = REPORT + CLAIM * claims;
            let report = Tensor::f_zeros([numbers as i64], (Kind::Double, device))?;
            Ok::<_, ComputeError>(Slot {
                report: staging_like(&report, device)?,
                orders: staging_like(&orders, device)?,
                on_device: DeviceOrders(orders),
            })
        };
        Ok(Self((0..COPIES).map(slot).collect::<Result<_, _>>()?))
    }

    /// A slot's orders as the device reads them.
    pub fn on_device(&self, slot: usize) -> &DeviceOrders {
        &self.0[slot].on_device
    }

    /// Sends a step's orders on their way. The last step that used this slot must have ended.
    ///
    /// # Errors
    /// The device failed.
    pub fn send(&mut self, slot: usize, orders: Orders) -> Result<(), ComputeError> {
        let Slot { orders: memory, on_device, .. } = &mut self.0[slot];
        let [adam_1, adam_2] = orders.adam_corrections;
        let [asked, stored] = orders.wishes;
        let [upper, lower] = halves::of(orders.claim);
        let numbers = [
            orders.learning_rate,
            adam_1,
            adam_2,
            asked,
            stored,
            orders.first_sample as f64,
            orders.first_row as f64,
            upper,
            lower,
        ];
        with_slice_mut(memory, |memory: &mut [f64]| memory.copy_from_slice(&numbers))?;
        Ok(copy_without_waiting(&mut on_device.0, memory)?)
    }

    /// Asks for a step's report, which lies on the device, to be brought here.
    ///
    /// # Errors
    /// The device failed.
    pub fn fetch(&mut self, slot: usize, report: &Tensor) -> Result<(), ComputeError> {
        Ok(copy_without_waiting(&mut self.0[slot].report, report)?)
    }

    /// A report whose arrival an event has told of.
    ///
    /// # Errors
    /// The memory is not what it was made as.
    pub fn report(&self, slot: usize) -> Result<Report, ComputeError> {
        Ok(with_slice(&self.0[slot].report, |numbers: &[f64]| Report::from_numbers(numbers))?)
    }
}

/// Adam's corrections at `step`, counted from 0.
pub fn adam_corrections(step: Step) -> [f64; 2] {
    crate::mathematics::optimizer::corrections(step.0 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_names_the_step() {
        let good =
            Report { good_before: 1.0, finite_loss: 1.0, finite_state: 1.0, ..Report::default() };
        assert_eq!(good.verdict(), Verdict::Committed);
        let state = Report { finite_state: 0.0, ..good.clone() };
        assert_eq!(state.verdict(), Verdict::InfiniteState);
        let loss = Report { finite_loss: 0.0, softmax_loss: f64::INFINITY, ..state };
        assert_eq!(loss.verdict(), Verdict::InfiniteLoss);
        assert_eq!(Report { good_before: 0.0, ..loss }.verdict(), Verdict::Frozen);
    }

    #[test]
    fn numbers_arrive_in_their_places() {
        let mut slots = Slots::new(Device::Cpu, 2).unwrap();
        let orders = Orders {
            learning_rate: 0.5,
            adam_corrections: [0.1, 0.2],
            wishes: [2.0, 7.0],
            first_sample: 30,
            first_row: 100,
            claim: u64::MAX - 1,
        };
        slots.send(1, orders).unwrap();
        let sent = slots.on_device(1);
        let numbers = |tensor: Tensor| Vec::<f64>::try_from(tensor.to_kind(Kind::Double)).unwrap();
        assert_eq!(numbers(sent.learning_rate(Kind::Double).unwrap()), [0.5]);
        assert_eq!(numbers(sent.wishes().unwrap()), [2.0, 7.0]);
        assert_eq!(numbers(sent.claim().unwrap()), halves::of(u64::MAX - 1));
        assert_eq!(numbers(sent.sample_places(2).unwrap()), [30.0, 31.0]);
        assert_eq!(numbers(sent.record_rows(3).unwrap()), [100.0, 101.0, 102.0]);
        let told = [1.5, 0.5, 9.0, 0.0, 3.0, 1.0, 1.0, 1.0, 0.0, 7.0, 1.0, 2.0, 0.0, 8.0, 0.0, 2.0];
        slots.fetch(2, &Tensor::from_slice(&told)).unwrap();
        let report = slots.report(2).unwrap();
        assert_eq!((report.softmax_loss, report.stored), (1.5, 3.0));
        assert_eq!(report.verdict(), Verdict::Committed);
        let claims = [(7, (1 << 32) + 2), (8, 2)].map(|(host, copy)| DeviceClaim { host, copy });
        assert_eq!(report.claims, claims);
    }
}
