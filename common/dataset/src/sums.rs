//! Mean and deviation of each channel, from sums of whole numbers, so that no order matters.
//!
//! Filled with training images, where a folder's are decoded and where others are measured.

use std::io;

use common::data_shape::DataShape;

use crate::samples::{Measured, Samples};

/// What was added up so far.
#[derive(Debug)]
pub(crate) struct Sums {
    /// Of each channel: pixels, their squares.
    channels: Vec<[u64; 2]>,
    /// Pixels.
    count: u64,
}

impl Sums {
    /// Of no image yet.
    pub fn new(channels: usize) -> Self {
        Self { channels: vec![[0; 2]; channels], count: 0 }
    }

    /// Adds an image's pixels.
    pub fn add(&mut self, pixels: &[u8]) {
        for pixel in pixels.chunks_exact(self.channels.len()) {
            for ([sum, squares], value) in self.channels.iter_mut().zip(pixel) {
                *sum += u64::from(*value);
                *squares += u64::from(*value) * u64::from(*value);
            }
            self.count += 1;
        }
    }

    /// Of pixels scaled to 0…1.
    pub fn measured(&self) -> Measured {
        let count = self.count as f64;
        let of_channel = |&[sum, squares]: &[u64; 2]| {
            let mean = sum as f64 / count;
            let variance = squares as f64 / count - mean * mean;
            let deviation = if variance > 0.0 { variance.sqrt() / 255.0 } else { 1.0 };
            (mean / 255.0, deviation)
        };
        let (mean, deviation) = self.channels.iter().map(of_channel).unzip();
        Measured { mean, deviation }
    }
}

/// Mean and deviation of these images; the deviation of a channel that is the same everywhere is 1.
///
/// # Errors
/// They cannot be read.
pub fn measure(samples: &Samples, shape: DataShape) -> io::Result<Measured> {
    let mut sums = Sums::new(shape.channels);
    let mut image = Vec::with_capacity(shape.numbers());
    for index in 0..samples.len() {
        image.clear();
        samples.read_image(index, &mut image)?;
        sums.add(&image);
    }
    Ok(sums.measured())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_is_measured_alone() {
        let shape = DataShape { channels: 3, height: 1, width: 2, classes: 2 };
        let images = vec![0, 51, 7, 255, 51, 7, 0, 51, 7, 255, 153, 7];
        let measured = measure(&Samples::new(images, vec![0, 1]), shape).unwrap();
        let Measured { mean, deviation } = measured;
        let close = |a: &[f64], b: [f64; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(close(&mean, [0.5, 0.3, 7.0 / 255.0]), "{mean:?}");
        assert!(close(&deviation, [0.5, 0.03_f64.sqrt(), 1.0]), "{deviation:?}");
    }
}
