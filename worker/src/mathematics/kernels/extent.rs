//! Where the samples of a pass lie in memory, `[images, height, width, channels]`, and the windows of a max-pool over
//! them.

use super::float::Float;

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
    pub(super) fn windows(&self) -> impl Iterator<Item = Window> {
        let extent = *self;
        (0..self.images).flat_map(move |image| extent.windows_of(image))
    }

    /// The windows of one image's pool.
    #[inline(always)]
    pub(super) fn windows_of(&self, image: usize) -> impl Iterator<Item = Window> + use<> {
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
    pub(super) fn outside_windows(&self) -> impl Iterator<Item = usize> {
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
