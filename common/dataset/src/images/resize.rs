//! Pictures in another size, as Pillow's `Image.resize` with `BILINEAR` makes them, to the bit: where a picture becomes smaller
//! each pixel is a mean of all that it covers, weighted by a triangle. Pixels are rounded twice, across and then down; Pillow
//! 13 goes down first with some sizes, so that its pixels differ by a level there.
//!
//! Called by [`super::fit`]. Weights have 22 bits after the point, sums are of whole numbers. The weights themselves are made by
//! additions, multiplications and divisions of doubles in one order, which IEEE 754 fixes to the last bit, so that they are
//! the same on every machine; nothing else is used here.

use super::decode::Picture;

/// Bits of a weight after the point: 32, less 8 of a pixel and 2 for sums that are larger than their result.
const PRECISION: u32 = 32 - 8 - 2;

/// A part of one side of a picture, in another size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Side {
    /// What the whole side becomes, pixels.
    pub whole: usize,
    /// The first pixel of it that is wanted.
    pub start: usize,
    /// How many are.
    pub length: usize,
}

impl Side {
    /// All of it.
    pub fn all(whole: usize) -> Self {
        Self { whole, start: 0, length: whole }
    }
}

/// The weights that make one pixel.
struct Window {
    /// The first pixel that they are for.
    start: usize,
    weights: Vec<i32>,
}

/// A part of a picture that has been brought to another size. Only what that part is made of is computed.
pub(super) fn resize(picture: &Picture, height: Side, width: Side) -> Picture {
    let (rows, columns) = (windows(picture.height, height), windows(picture.width, width));
    let first = rows.iter().map(|row| row.start).min().unwrap_or(0);
    let last = rows.iter().map(|row| row.start + row.weights.len()).max().unwrap_or(0);
    let narrow = across(picture, first..last, &columns);
    let pixels = down(&narrow, width.length * picture.channels, first, &rows);
    Picture { height: height.length, width: width.length, channels: picture.channels, pixels }
}

/// The weights of each wanted pixel (Pillow's `precompute_coeffs`).
fn windows(old: usize, side: Side) -> Vec<Window> {
    let scale = old as f64 / side.whole as f64;
    let spread = scale.max(1.0);
    let step = 1.0 / spread;
    let window = |pixel: usize| {
        let center = (pixel as f64 + 0.5) * scale;
        // A cast cuts off what is behind the point, and makes 0 of what is below.
        let start = (center - spread + 0.5) as usize;
        let end = ((center + spread + 0.5) as usize).min(old);
        let weight = |of: usize| triangle((of as f64 - center + 0.5) * step);
        let weights: Vec<f64> = (start..end).map(weight).collect();
        let sum: f64 = weights.iter().fold(0.0, |sum, weight| sum + weight);
        let fixed = |weight: &f64| {
            let share = if sum == 0.0 { *weight } else { weight / sum };
            (0.5 + share * f64::from(1 << PRECISION)) as i32
        };
        Window { start, weights: weights.iter().map(fixed).collect() }
    };
    (side.start..side.start + side.length).map(window).collect()
}

fn triangle(at: f64) -> f64 {
    let distance = at.abs();
    if distance < 1.0 { 1.0 - distance } else { 0.0 }
}

/// These rows of a picture, each as wide as there are windows.
fn across(picture: &Picture, rows: std::ops::Range<usize>, columns: &[Window]) -> Vec<u8> {
    let channels = picture.channels;
    let mut to = Vec::with_capacity(rows.len() * columns.len() * channels);
    for row in rows {
        let row = &picture.pixels[row * picture.width * channels..][..picture.width * channels];
        for Window { start, weights } in columns {
            let from = &row[start * channels..];
            for channel in 0..channels {
                let pixels = from[channel..].iter().step_by(channels);
                to.push(sum(pixels.zip(weights)));
            }
        }
    }
    to
}

/// As many rows as there are windows; the first of `from` is row `first` of the picture.
fn down(from: &[u8], row_length: usize, first: usize, rows: &[Window]) -> Vec<u8> {
    let mut to = Vec::with_capacity(rows.len() * row_length);
    for Window { start, weights } in rows {
        let from = &from[(start - first) * row_length..];
        for column in 0..row_length {
            let pixels = from[column..].iter().step_by(row_length);
            to.push(sum(pixels.zip(weights)));
        }
    }
    to
}

/// A weighted sum, rounded.
fn sum<'a>(terms: impl Iterator<Item = (&'a u8, &'a i32)>) -> u8 {
    let half = 1 << (PRECISION - 1);
    let sum = terms.fold(half, |sum, (pixel, weight)| sum + i32::from(*pixel) * weight);
    (sum >> PRECISION).clamp(0, 255) as u8
}

#[cfg(test)]
#[path = "resize_tests.rs"]
mod tests;
