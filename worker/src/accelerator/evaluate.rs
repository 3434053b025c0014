//! Classifies test samples on a device with the running statistics.

use common::batch_losses::Batch;
use tch::{Kind, Tensor};

use super::copy::numbers;
use super::linear::{self, flatten};
use super::norm::{Activation, NormParameters, Statistics};
use super::requests::Accelerator;
use super::samples::labels_tensor;
use super::shard::{convolution, evaluated, images};
use crate::mathematics::batch_terms::Terms;
use crate::network::{ComputeError, Weights};
use crate::results::evaluate::Part;
use crate::state::State;

/// The network as it is after the newest committed step.
pub struct DeviceEvaluation<'a> {
    accelerator: &'a Accelerator,
    /// Of the loss, of which one may classify in place of the scores.
    terms: &'a Terms,
    weights: Weights,
    activations: Vec<Activation>,
}

impl Accelerator {
    /// Gets ready to classify with the newest committed state.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn evaluation<'a>(
        &'a self,
        state: &State,
        terms: &'a Terms,
    ) -> Result<DeviceEvaluation<'a>, ComputeError> {
        let newest = self.ring.newest();
        let norms = self.norms(state, newest)?;
        let activations = self.running_activations(&norms)?;
        Ok(DeviceEvaluation {
            accelerator: self,
            terms,
            weights: self.weights(state, newest)?,
            activations,
        })
    }

    fn running_activations(
        &self,
        norms: &[NormParameters],
    ) -> Result<Vec<Activation>, ComputeError> {
        let copy = &self.copies[self.ring.newest()];
        let running = copy.running.f_to_kind(Kind::Double)?;
        let mut first = 0;
        let mut activations = Vec::with_capacity(norms.len());
        for norm in norms {
            let channels = norm.weight.size()[0];
            let of_layer = running.f_narrow(1, first, channels)?;
            let statistics =
                Statistics::running(of_layer.f_select(0, 0)?, of_layer.f_select(0, 1)?);
            activations.push(statistics.activation(norm, copy.flat.kind())?);
            first += channels;
        }
        Ok(activations)
    }
}

impl DeviceEvaluation<'_> {
    /// Features, label and prediction of each sample of a shard's part.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn rows_of(&self, part: &Part) -> Result<Vec<f64>, ComputeError> {
        if part.labels.is_empty() {
            return Ok(Vec::new());
        }
        let Accelerator { device, table, .. } = self.accelerator;
        let pixels = Tensor::from_slice(&part.pixels).f_to_device(*device)?;
        let architecture = &self.weights.layout.architecture;
        let mut flowing = images(&pixels, architecture.data, table)?;
        let layers = architecture.convolutions.iter();
        let kernels = self.weights.convolutions.iter().zip(&self.activations);
        for (layer, (kernel, activation)) in layers.zip(kernels) {
            let input = flowing.f_to_kind(kernel.kind())?;
            let z = convolution(&input, kernel, table.kind())?;
            flowing = evaluated(*layer, &z, activation)?;
        }
        let linear::Forward { features, scores, .. } =
            linear::forward(&self.weights, flatten(&flowing)?)?;
        let labels = labels_tensor(&part.labels).f_to_device(*device)?;
        let columns = [labels.f_unsqueeze(1)?, scores.f_argmax(1, true)?];
        let [label, prediction] = columns.map(|column| column.f_to_kind(Kind::Double));
        let features = features.f_to_kind(Kind::Double)?;
        let mut rows = numbers(&Tensor::f_cat(&[&features, &label?, &prediction?], 1)?)?;
        if self.terms.classify() {
            let [features, output] = [&features, &self.weights.heads[2]].map(numbers);
            let (features, output) = (features?, output?);
            let dim = features.len() / part.labels.len();
            let batch = Batch::new(&features, &part.labels, dim, architecture.data.classes)?;
            let predictions = self.terms.predictions(&batch, &output).into_iter().flatten();
            for (row, prediction) in rows.chunks_exact_mut(dim + 2).zip(predictions) {
                row[dim + 1] = f64::from(prediction);
            }
        }
        Ok(rows)
    }
}
