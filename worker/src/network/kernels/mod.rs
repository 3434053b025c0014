//! Fused passes over the memory of one logical shard, between its convolutions.
//!
//! A convolution's output is read and written as few times as the definition allows:
//!
//! - [`statistics`]: sum and sum of squares per channel, for BatchNorm's forward pass;
//! - [`activation`]: BatchNorm, PReLU and, where one follows, the max-pool in one pass;
//! - [`gradient`]: what flows back through the three, in one pass for the sums that are reduced over the global batch
//!   and one for the gradient of the convolution's output, both of which recompute the activation instead of storing
//!   it.
//!
//! Memory is `[batch, height, width, channels]`, so neighbours in memory are neighbouring channels and every loop
//! vectorises without reordering a sum. Sums are accumulated in 64 bits, image after image: their value depends on
//! the shard's samples and on nothing else.

pub mod activation;
pub mod gradient;
pub mod statistics;
#[cfg(test)]
mod tests_support;

use crate::bridge::slices::Element;

/// Channels handled together: few enough that their running sums stay in registers.
const LANES: usize = 16;

/// A number the network computes in.
pub trait Float:
    Element
    + Send
    + Sync
    + PartialOrd
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + 'static
{
    /// 0.
    const ZERO: Self;
    /// The nearest number of this precision.
    fn from_f64(value: f64) -> Self;
    /// The same number in 64 bits.
    fn to_f64(self) -> f64;
}

macro_rules! float {
    ($($number:ty),*) => {$(
        impl Float for $number {
            const ZERO: Self = 0.0;

            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as Self
            }

            #[inline(always)]
            #[allow(clippy::unnecessary_cast, reason = "necessary for the other type")]
            fn to_f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}

float!(f32, f64);

/// BatchNorm and PReLU of one layer as the passes apply them: `u = scale·z + shift`, `y = u if u > 0 else slope·u`.
#[derive(Clone, Debug)]
pub struct Activation<T> {
    /// γ / √(σ² + ε), per channel.
    pub scale: Vec<T>,
    /// β − μ·scale, per channel.
    pub shift: Vec<T>,
    /// PReLU's one slope.
    pub slope: T,
}

/// Where the samples of a pass lie: `images` of `side × side` positions with `channels` numbers each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Samples.
    pub images: usize,
    /// Height and width before a pool.
    pub side: usize,
    /// Channels.
    pub channels: usize,
}

impl Extent {
    /// Numbers before a pool.
    pub fn numbers(&self) -> usize {
        self.images * self.side * self.side * self.channels
    }

    /// Height and width after a 2 × 2 pool: an odd last row and column belong to no window.
    pub fn pooled_side(&self) -> usize {
        self.side / 2
    }

    /// Numbers after a 2 × 2 pool.
    pub fn pooled_numbers(&self) -> usize {
        self.images * self.pooled_side() * self.pooled_side() * self.channels
    }

    /// Offsets of the four inputs of a pool's window, and of its output, at channel 0.
    #[inline(always)]
    fn window(&self, image: usize, row: usize, column: usize) -> ([usize; 4], usize) {
        let line = self.side * self.channels;
        let first = (image * self.side + 2 * row) * line + 2 * column * self.channels;
        let pooled_side = self.pooled_side();
        let output = ((image * pooled_side + row) * pooled_side + column) * self.channels;
        ([first, first + self.channels, first + line, first + line + self.channels], output)
    }
}

/// BatchNorm then PReLU of one number.
#[inline(always)]
fn activate<T: Float>(z: T, scale: T, shift: T, slope: T) -> (T, T) {
    let normalised = scale * z + shift;
    let output = if normalised > T::ZERO { normalised } else { slope * normalised };
    (normalised, output)
}

/// The running maximum of a pool's window: first one wins, NaN always wins, as in PyTorch.
#[inline(always)]
fn exceeds<T: Float>(value: T, maximum: T) -> bool {
    #[expect(clippy::eq_op, reason = "the one portable NaN test that is generic over the type")]
    let is_nan = value != value;
    value > maximum || is_nan
}
