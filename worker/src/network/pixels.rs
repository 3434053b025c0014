//! Pixels as the network takes them: scaled to 0…1, then normalised, each channel by numbers of its own.

use common::config::Config;

use crate::mathematics::kernels::Float;

/// Every pixel value as the network takes it, `[channels, 256]`.
#[derive(Clone, Debug)]
pub struct PixelTable<T>(Vec<[T; 256]>);

impl<T: Float> PixelTable<T> {
    /// For images of so many channels.
    pub fn new(config: &Config, channels: usize) -> Self {
        let table = |(mean, deviation): (f64, f64)| {
            let value = |pixel: usize| {
                (T::of(pixel as f64) / T::of(255.0) - T::of(mean)) / T::of(deviation)
            };
            std::array::from_fn(value)
        };
        Self(config.normalisation(channels).into_iter().map(table).collect())
    }

    /// Pixels `[samples, height, width, channels]` as the network's input, in place of what `to` holds.
    pub fn translate(&self, pixels: &[u8], to: &mut Vec<T>) {
        to.clear();
        match &self.0[..] {
            [table] => to.extend(pixels.iter().map(|pixel| table[usize::from(*pixel)])),
            tables => to.extend(
                pixels
                    .iter()
                    .zip(tables.iter().cycle())
                    .map(|(pixel, table)| table[usize::from(*pixel)]),
            ),
        }
    }

    /// All of it in 64 bits, channel after channel.
    pub fn numbers(&self) -> Vec<f64> {
        self.0.iter().flatten().map(|number| number.to_f64()).collect()
    }
}
