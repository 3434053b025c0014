//! What the current epoch has seen so far, on the device: one row a sample, in step order.

use tch::{Device, Kind, Tensor};

use super::copy::numbers;
use crate::network::ComputeError;
use crate::state::EpochRecord;

/// Features, labels and predictions of an epoch's samples.
#[derive(Debug)]
pub struct DeviceRecord {
    /// `[samples of an epoch, feature_dim + 2]`.
    rows: Tensor,
}

impl DeviceRecord {
    /// Room for an epoch of `samples`, with the rows of `record` in it.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn of(
        record: &EpochRecord,
        (samples, dim): (usize, usize),
        device: Device,
    ) -> Result<Self, ComputeError> {
        let width = dim + 2;
        let rows = Tensor::f_zeros([samples as i64, width as i64], (Kind::Double, device))?;
        let done: Vec<f64> = (record.features.chunks_exact(dim).zip(&record.labels))
            .zip(&record.predictions)
            .flat_map(|((features, label), prediction)| {
                features.iter().copied().chain([f64::from(*label), f64::from(*prediction)])
            })
            .collect();
        let done = Tensor::from_slice(&done).f_view([-1, width as i64])?;
        rows.f_narrow(0, 0, done.size()[0])?.f_copy_(&done)?;
        Ok(Self { rows })
    }

    /// Writes a step's rows, `[samples, feature_dim + 2]`, at these places. No step writes another's.
    ///
    /// # Errors
    /// The device failed.
    pub fn write(&mut self, places: &Tensor, rows: &Tensor) -> Result<(), ComputeError> {
        let _ = self.rows.f_index_copy_(0, places, rows)?;
        Ok(())
    }

    /// Brings the first `samples` rows into `record`, whose sums are the caller's. Waits for the device.
    ///
    /// # Errors
    /// The device failed.
    pub fn bring_back(&self, record: &mut EpochRecord, samples: usize) -> Result<(), ComputeError> {
        let width = self.rows.size()[1] as usize;
        let numbers = numbers(&self.rows.f_narrow(0, 0, samples as i64)?)?;
        record.features.clear();
        record.labels.clear();
        record.predictions.clear();
        for row in numbers.chunks_exact(width) {
            let (features, rest) = row.split_at(width - 2);
            record.features.extend_from_slice(features);
            record.labels.push(rest[0] as u16);
            record.predictions.push(rest[1] as u16);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_in_the_order_of_samples() {
        let begun = EpochRecord {
            features: vec![0.5, -1.0],
            labels: vec![3],
            predictions: vec![4],
            ..EpochRecord::default()
        };
        let mut record = DeviceRecord::of(&begun, (5, 2), Device::Cpu).unwrap();
        let places = Tensor::from_slice(&[1i64, 2]);
        let rows = Tensor::from_slice(&[1.0, 2.0, 7.0, 8.0, 3.0, 4.0, 0.0, 9.0]).view([2, 4]);
        record.write(&places, &rows).unwrap();
        let mut found = begun.clone();
        record.bring_back(&mut found, 3).unwrap();
        assert_eq!(found.features, [0.5, -1.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(
            (found.labels.clone(), found.predictions.clone()),
            (vec![3, 7, 0], vec![4, 8, 9])
        );
        record.bring_back(&mut found, 1).unwrap();
        assert_eq!(found, begun);
    }
}
