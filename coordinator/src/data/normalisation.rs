//! Mean and deviation of the training set's pixels, scaled to 0…1, for each channel.

use std::io;

use common::data_shape::DataShape;
use dataset::Samples;

/// Measures them. The deviation of a channel that is the same everywhere is 1. Sums are of whole numbers, so that no order
/// matters.
///
/// # Errors
/// The samples cannot be read.
pub fn measure(samples: &Samples, shape: DataShape) -> io::Result<(Vec<f64>, Vec<f64>)> {
    let mut sums = vec![[0_u64; 2]; shape.channels];
    let mut image = Vec::with_capacity(shape.numbers());
    for index in 0..samples.len() {
        image.clear();
        samples.read_image(index, &mut image)?;
        for pixel in image.chunks_exact(shape.channels) {
            for ([sum, squares], value) in sums.iter_mut().zip(pixel) {
                *sum += u64::from(*value);
                *squares += u64::from(*value) * u64::from(*value);
            }
        }
    }
    let count = (samples.len() * shape.height * shape.width) as f64;
    let of_channel = |&[sum, squares]: &[u64; 2]| {
        let mean = sum as f64 / count;
        let variance = squares as f64 / count - mean * mean;
        let deviation = if variance > 0.0 { variance.sqrt() / 255.0 } else { 1.0 };
        (mean / 255.0, deviation)
    };
    Ok(sums.iter().map(of_channel).unzip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_is_measured_alone() {
        let shape = DataShape { channels: 3, height: 1, width: 2, classes: 2 };
        let images = vec![0, 51, 7, 255, 51, 7, 0, 51, 7, 255, 153, 7];
        let (mean, deviation) = measure(&Samples::new(images, vec![0, 1]), shape).unwrap();
        let close = |a: &[f64], b: [f64; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(close(&mean, [0.5, 0.3, 7.0 / 255.0]), "{mean:?}");
        assert!(close(&deviation, [0.5, 0.03_f64.sqrt(), 1.0]), "{deviation:?}");
    }
}
