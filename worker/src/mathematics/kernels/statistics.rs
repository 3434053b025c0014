//! Sum and sum of squares per channel of a convolution's output.

use pulp::Arch;

use super::blocks::{Block, LANES, block, blocks, each};
use super::float::Float;

/// Rows that fit the first-level cache while they are read once per block of channels.
const TILE_ROWS: usize = 64;

/// `[Σz per channel…, Σz² per channel…]` over all rows of `z`, `[rows, channels]`.
pub fn channel_sums<T: Float>(z: &[T], channels: usize) -> Vec<f64> {
    Arch::new().dispatch(
        #[inline(always)]
        || accumulate(z, channels),
    )
}

#[inline(always)]
fn accumulate<T: Float>(z: &[T], channels: usize) -> Vec<f64> {
    let mut totals = vec![0.0; 2 * channels];
    let (sums, squares) = totals.split_at_mut(channels);
    for tile in z.chunks(TILE_ROWS * channels) {
        for start in blocks(channels) {
            let (sum, square) = sums_of_block(tile, channels, start);
            for lane in 0..LANES {
                sums[start + lane] += sum[lane];
                squares[start + lane] += square[lane];
            }
        }
    }
    totals
}

#[inline(always)]
fn sums_of_block<T: Float>(tile: &[T], channels: usize, start: usize) -> (Block<f64>, Block<f64>) {
    let mut sum = [0.0; LANES];
    let mut square = [0.0; LANES];
    for row in tile.chunks_exact(channels) {
        let z = each(|lane| block(row, start)[lane].to_f64());
        sum = each(|lane| sum[lane] + z[lane]);
        square = each(|lane| square[lane] + z[lane] * z[lane]);
    }
    (sum, square)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_definition() {
        for channels in [8, 16, 32, 40] {
            let z: Vec<f32> =
                (0..channels * 150).map(|i| ((i * 7919) % 101) as f32 / 10.0 - 5.0).collect();
            let sums = channel_sums(&z, channels);
            for channel in 0..channels {
                let column = || z.iter().skip(channel).step_by(channels).map(|&v| f64::from(v));
                let sum: f64 = column().sum();
                let squares: f64 = column().map(|v| v * v).sum();
                assert!((sums[channel] - sum).abs() < 1e-9);
                assert!((sums[channels + channel] - squares).abs() < 1e-9);
            }
        }
    }
}
