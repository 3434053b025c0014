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

/// Channels handled together: as many as the widest vectors hold, few enough that running sums stay in registers.
const LANES: usize = 8;

/// The numbers of neighbouring channels at one position.
type Block<T> = [T; LANES];

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

    /// The windows of every image's pool.
    #[inline(always)]
    fn windows(&self) -> impl Iterator<Item = Window> {
        let extent = *self;
        (0..self.images).flat_map(move |image| extent.windows_of(image))
    }

    /// The windows of one image's pool.
    #[inline(always)]
    fn windows_of(&self, image: usize) -> impl Iterator<Item = Window> + use<> {
        let (side, channels, pooled) = (self.side, self.channels, self.pooled_side());
        let line = side * channels;
        (0..pooled * pooled).map(move |index| {
            let first =
                (image * side + 2 * (index / pooled)) * line + 2 * (index % pooled) * channels;
            Window {
                inputs: [first, first + channels, first + line, first + line + channels],
                output: (image * pooled * pooled + index) * channels,
            }
        })
    }

    /// Offsets of the odd last row and column, which belong to no window.
    fn outside_windows(&self) -> impl Iterator<Item = usize> {
        let Self { images, side, channels } = *self;
        let edge = if side % 2 == 1 { side } else { 0 };
        let last = side - 1;
        let column = (0..edge).map(move |row| (row, last));
        let row = (0..edge.saturating_sub(1)).map(move |column| (last, column));
        let positions = column.chain(row);
        (0..images).flat_map(move |image| {
            positions
                .clone()
                .map(move |(row, column)| ((image * side + row) * side + column) * channels)
        })
    }
}

/// One window of a pool.
#[derive(Clone, Copy)]
struct Window {
    /// Offsets of its four inputs, at channel 0, in the order in which the first of equals wins.
    inputs: [usize; 4],
    /// Offset of its output, at channel 0.
    output: usize,
}

/// Where each block of channels begins. Every layer's channels are a multiple of [`LANES`].
#[inline(always)]
fn blocks(channels: usize) -> impl Iterator<Item = usize> {
    assert!(channels.is_multiple_of(LANES), "{channels} channels are not whole blocks");
    (0..channels).step_by(LANES)
}

/// The block that begins at `start`.
#[inline(always)]
fn block<T>(numbers: &[T], start: usize) -> &Block<T> {
    numbers[start..start + LANES].try_into().expect("a block is LANES long")
}

/// The block that begins at `start`, to be written.
#[inline(always)]
fn block_mut<T>(numbers: &mut [T], start: usize) -> &mut Block<T> {
    (&mut numbers[start..start + LANES]).try_into().expect("a block is LANES long")
}

/// Lane by lane.
#[inline(always)]
fn each<R>(lane: impl FnMut(usize) -> R) -> Block<R> {
    std::array::from_fn(lane)
}

/// An [`Activation`]'s block of channels.
#[derive(Clone, Copy)]
struct ActivationBlock<T> {
    scale: Block<T>,
    shift: Block<T>,
    slope: T,
}

impl<T: Float> Activation<T> {
    #[inline(always)]
    fn block(&self, start: usize) -> ActivationBlock<T> {
        let (scale, shift) = (*block(&self.scale, start), *block(&self.shift, start));
        ActivationBlock { scale, shift, slope: self.slope }
    }
}

impl<T: Float> ActivationBlock<T> {
    /// u = BatchNorm(z).
    #[inline(always)]
    fn normalise(&self, z: &Block<T>) -> Block<T> {
        each(|lane| self.scale[lane] * z[lane] + self.shift[lane])
    }

    /// y = PReLU(u).
    #[inline(always)]
    fn activate(&self, u: &Block<T>) -> Block<T> {
        each(|lane| if u[lane] > T::ZERO { u[lane] } else { self.slope * u[lane] })
    }

    /// ∂L/∂u of an upstream gradient ∂L/∂y.
    #[inline(always)]
    fn backward(&self, u: &Block<T>, upstream: &Block<T>) -> Block<T> {
        each(|lane| if u[lane] > T::ZERO { upstream[lane] } else { self.slope * upstream[lane] })
    }
}

/// Whether a window's next value replaces its maximum so far: the first of equals stays, NaN always wins, as in
/// PyTorch.
#[inline(always)]
fn exceeds<T: Float>(value: T, maximum: T) -> bool {
    #[expect(clippy::eq_op, reason = "the one NaN test that is generic over the type")]
    let is_nan = value != value;
    value > maximum || is_nan
}
