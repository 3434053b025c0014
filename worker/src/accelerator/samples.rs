//! The samples that this rank consumes in an epoch, as bytes in a device's memory.

use tch::{Device, Kind, Tensor};

use crate::network::ComputeError;

/// A rank's part of an epoch, in the order of its steps. Recorded steps read where it lies, so it stays there as long
/// as the generation lasts.
#[derive(Debug)]
pub struct EpochSamples {
    /// `[room, numbers of an image]`.
    pixels: Tensor,
    /// 64-bit integers, `[room]`.
    labels: Tensor,
}

impl EpochSamples {
    /// Room for `samples` of so many pixels.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn with_room_for(
        samples: usize,
        pixels: usize,
        device: Device,
    ) -> Result<Self, ComputeError> {
        let (room, pixels) = (samples as i64, pixels as i64);
        Ok(Self {
            pixels: Tensor::f_zeros([room, pixels], (Kind::Uint8, device))?,
            labels: Tensor::f_zeros([room], (Kind::Int64, device))?,
        })
    }

    /// Takes an epoch's bytes: each sample's pixels, and its label.
    ///
    /// # Errors
    /// There is too little room, or the device failed.
    pub fn fill(&mut self, pixels: &[u8], labels: &[u16]) -> Result<(), ComputeError> {
        let count = labels.len() as i64;
        let pixels = Tensor::from_slice(pixels).f_view([-1, self.pixels.size()[1]])?;
        let labels = labels_tensor(labels);
        self.pixels.f_narrow(0, 0, count)?.f_copy_(&pixels)?;
        self.labels.f_narrow(0, 0, count)?.f_copy_(&labels)?;
        Ok(())
    }

    /// The samples at these places: pixels and labels.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn at(&self, places: &Tensor) -> Result<(Tensor, Tensor), ComputeError> {
        Ok((self.pixels.f_index_select(0, places)?, self.labels.f_index_select(0, places)?))
    }
}

/// Labels as libtorch takes them, 64-bit integers `[n]`.
pub fn labels_tensor(labels: &[u16]) -> Tensor {
    let labels: Vec<i64> = labels.iter().map(|label| i64::from(*label)).collect();
    Tensor::from_slice(&labels)
}
