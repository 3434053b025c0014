//! The terms of the loss that look at every sample of the batch. Features come to the host, where all ranks compute the terms
//! alike, and what they say of this rank's samples goes to the device: the one place where a step waits for numbers.

use std::time::Duration;

use tch::{Device, Kind, Tensor};

use super::copy::numbers;
use super::samples::labels_tensor;
use super::wait::look_until;
use crate::bridge::device::Event;
use crate::collective::CollectiveError;
use crate::mathematics::batch_terms::{BatchTerms, TermValue, Terms};
use crate::network::ComputeError;
use crate::reduction::Reduction;
use crate::reduction::small::Rows;

/// What the terms of a batch come to.
#[derive(Debug, Default)]
pub struct WholeBatch {
    /// Of each term.
    pub values: Vec<TermValue>,
    /// ∂L/∂center, `[classes, dim]` in 64 bits, where a term has centers.
    pub to_centers: Option<Tensor>,
    /// ∂L/∂`output.weight` likewise.
    pub to_output: Option<Tensor>,
    /// ∂L/∂f of this rank's samples, `[samples, dim]` in 64 bits.
    to_features: Option<Tensor>,
    /// Their classes, where a term classifies, `[samples]`.
    predictions: Option<Tensor>,
}

/// What they say of a shard.
#[derive(Debug, Default)]
pub struct TermPart {
    /// ∂L/∂f, `[samples, dim]` in 64 bits.
    pub to_features: Option<Tensor>,
    /// Each sample's class, `[samples]`.
    pub predictions: Option<Tensor>,
}

/// What a step gives the terms.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// Of this rank's samples, `[samples, dim + 1]` in 64 bits: features and label.
    pub rows: &'a Tensor,
    /// `[classes, dim]`.
    pub centers: &'a Tensor,
    /// `output.weight`, `[classes, dim]`.
    pub output: &'a Tensor,
    /// Samples of the global batch.
    pub batch: usize,
    /// How long the device, and then a peer, may take.
    pub patience: Duration,
}

impl WholeBatch {
    /// Computes the terms, if there are any.
    ///
    /// # Errors
    /// The device failed or does not get there, or a peer is lost.
    pub fn of(
        terms: &Terms,
        given: Given<'_>,
        reduction: &mut Reduction,
    ) -> Result<Self, ComputeError> {
        if terms.is_empty() {
            return Ok(Self::default());
        }
        let Given { rows, centers, output, batch, patience } = given;
        let device = rows.device();
        wait(device, reduction, patience)?;
        let width = rows.size()[1] as usize;
        let dim = width - 1;
        let samples = reduction.samples_of_ranks(batch);
        let gathered = reduction.gather(Rows {
            own: numbers(rows)?,
            numbers: samples.iter().map(|samples| samples * width).collect(),
        })?;
        let [centers, output] = [numbers(centers)?, numbers(output)?];
        let all = terms.of_rows(&gathered, dim, (&centers, &output))?;
        let rank = reduction.rank().index();
        let first: usize = samples[..rank].iter().sum();
        Self::on(device, all, (dim, first..first + samples[rank]))
    }

    /// What concerns these samples, of `dim` features, on the device.
    fn on(
        device: Device,
        all: BatchTerms,
        (dim, own): (usize, std::ops::Range<usize>),
    ) -> Result<Self, ComputeError> {
        let vectors = |numbers: &[f64]| -> Result<Tensor, ComputeError> {
            Ok(Tensor::from_slice(numbers).f_view([-1, dim as i64])?.f_to_device(device)?)
        };
        let some = |numbers: &[f64]| (!numbers.is_empty()).then(|| vectors(numbers)).transpose();
        let predictions = all.predictions.map(|all| labels_tensor(&all[own.clone()]));
        Ok(Self {
            values: all.values,
            to_centers: some(&all.to_centers)?,
            to_output: some(&all.to_output)?,
            to_features: Some(vectors(&all.to_features[own.start * dim..own.end * dim])?),
            predictions: predictions.map(|own| own.f_to_device(device)).transpose()?,
        })
    }

    /// What all terms add to the loss.
    pub fn loss(&self) -> f64 {
        self.values.iter().map(|term| term.loss).sum()
    }

    /// What concerns `count` of this rank's samples from the `first` on.
    ///
    /// # Errors
    /// There are not so many.
    pub fn part(&self, first: i64, count: i64) -> Result<TermPart, ComputeError> {
        let part = |all: &Option<Tensor>| {
            all.as_ref().map(|all| all.f_narrow(0, first, count)).transpose()
        };
        Ok(TermPart {
            to_features: part(&self.to_features)?,
            predictions: part(&self.predictions)?,
        })
    }
}

/// Waits until the device has done all that it was asked for. It may wait for a peer, which only the exchanges tell.
fn wait(device: Device, reduction: &Reduction, patience: Duration) -> Result<(), ComputeError> {
    let event = Event::record(device)?;
    let is_reached = look_until(patience, || {
        let is_reached = event.is_reached()?;
        reduction.check()?;
        Ok::<_, ComputeError>(is_reached)
    })?;
    match is_reached {
        true => Ok(()),
        false => Err(CollectiveError::Stalled { after: patience }.into()),
    }
}

/// Features and labels of a shard's samples side by side, as they are gathered.
///
/// # Errors
/// Memory ran out.
pub fn rows(features: &Tensor, labels: &Tensor) -> Result<Tensor, ComputeError> {
    let labels = labels.f_unsqueeze(1)?.f_to_kind(Kind::Double)?;
    Ok(Tensor::f_cat(&[features.f_to_kind(Kind::Double)?, labels], 1)?)
}
