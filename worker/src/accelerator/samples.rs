//! The samples that this rank consumes in an epoch, as bytes in a device's memory.

use common::architecture::IMAGE_PIXELS;
use tch::{Device, Kind, Tensor};

use crate::network::ComputeError;

/// A rank's part of an epoch, in the order of its steps.
#[derive(Debug)]
pub struct EpochSamples {
    /// `[samples, 784]`.
    pixels: Tensor,
    /// 64-bit integers.
    labels: Tensor,
}

impl EpochSamples {
    /// From bytes: 784 a sample, and its label.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn of(pixels: &[u8], labels: &[u8], device: Device) -> Result<Self, ComputeError> {
        let pixels = Tensor::from_slice(pixels).f_view([-1, IMAGE_PIXELS as i64])?;
        let labels = Tensor::from_slice(labels).f_to_kind(Kind::Int64)?;
        Ok(Self { pixels: pixels.f_to_device(device)?, labels: labels.f_to_device(device)? })
    }

    /// The samples at these places: pixels and labels.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn at(&self, places: &Tensor) -> Result<(Tensor, Tensor), ComputeError> {
        Ok((self.pixels.f_index_select(0, places)?, self.labels.f_index_select(0, places)?))
    }
}
