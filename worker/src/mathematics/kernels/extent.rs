//! Where the numbers of an image lie in memory, `[height, width, channels]`, and the windows of a max-pool over them.

use super::float::Float;

/// An image of `height × width` positions with `channels` numbers each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Before a pool.
    pub height: usize,
    /// Before a pool.
    pub width: usize,
    /// Channels.
    pub channels: usize,
}

impl Extent {
    /// Numbers before a pool.
    pub fn numbers(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// The windows of a 2 × 2 pool: an odd last row and column belong to none.
    #[inline(always)]
    pub(super) fn windows(&self) -> impl Iterator<Item = Window> + use<> {
        let (height, width, channels) = (self.height / 2, self.width / 2, self.channels);
        let line = self.width * channels;
        (0..height * width).map(move |index| {
            let first = 2 * (index / width) * line + 2 * (index % width) * channels;
            Window {
                inputs: [first, first + channels, first + line, first + line + channels],
                output: index * channels,
            }
        })
    }

    /// Offsets of the odd last row and column, which belong to no window.
    pub(super) fn outside_windows(&self) -> impl Iterator<Item = usize> + use<> {
        let Self { height, width, channels } = *self;
        let rows = if width % 2 == 1 { height } else { 0 };
        let columns = if height % 2 == 1 { width - width % 2 } else { 0 };
        let column = (0..rows).map(move |row| (row, width - 1));
        let row = (0..columns).map(move |column| (height - 1, column));
        column.chain(row).map(move |(row, column)| (row * width + column) * channels)
    }
}

/// One window of a pool.
#[derive(Clone, Copy)]
pub(super) struct Window {
    /// Offsets of its four inputs, at channel 0, in the order in which the first of equals wins.
    pub(super) inputs: [usize; 4],
    /// Offset of its output, at channel 0.
    pub(super) output: usize,
}

/// Whether a window's next value replaces its maximum so far: the first of equals stays, NaN always wins, as in
/// PyTorch.
#[inline(always)]
pub(super) fn exceeds<T: Float>(value: T, maximum: T) -> bool {
    #[expect(clippy::eq_op, reason = "the one NaN test that is generic over the type")]
    let is_nan = value != value;
    value > maximum || is_nan
}
