//! The part of an image that a tile reads or writes, for as many channels as a vector has lanes.

use std::ops::Range;

use super::super::number::{Line, Number};
use super::super::shape::inside;
use super::super::vector::Vector;

/// Height and width of the largest patch.
const SIDE: usize = 8;

/// An image that patches are cut from: `[height, width, channels]`.
#[derive(Clone, Copy)]
pub(super) struct Picture<T> {
    pub start: *mut T,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

/// Pixels of an image, and of a vector of channels.
#[derive(Clone)]
pub(super) struct Patch<T> {
    /// The pixel of the first row and column, which may lie outside the image.
    start: *mut T,
    /// Numbers from one row to the next.
    down: usize,
    /// Numbers from one column to the next.
    across: usize,
    /// Rows and columns that lie in the image.
    pub rows: Range<usize>,
    pub columns: Range<usize>,
}

impl<T: Number> Picture<T> {
    /// `side × side` pixels from (top, left) on, from a channel on.
    #[inline(always)]
    pub(super) fn patch(
        &self,
        (top, left): (isize, isize),
        side: usize,
        channel: usize,
    ) -> Patch<T> {
        let pixel = top * self.width as isize + left;
        Patch {
            start: self.start.wrapping_offset(pixel * self.channels as isize + channel as isize),
            down: self.width * self.channels,
            across: self.channels,
            rows: inside(top, side, self.height),
            columns: inside(left, side, self.width),
        }
    }
}

impl<T: Number> Patch<T> {
    /// Where a pixel's numbers are.
    #[inline(always)]
    pub(super) fn at(&self, row: usize, column: usize) -> *mut T {
        self.start.wrapping_add(row * self.down + column * self.across)
    }

    /// A pixel's numbers; zeros outside the image.
    ///
    /// # Safety
    /// There is a whole vector of numbers. The processor has the instructions of `V`.
    #[inline(always)]
    pub(super) unsafe fn load<V: Vector<Number = T>>(&self, row: usize, column: usize) -> V {
        // SAFETY: the pixel is one of the image's; the caller's promise.
        unsafe {
            if self.rows.contains(&row) {
                V::load(self.at(row, column))
            } else {
                V::splat(T::default())
            }
        }
    }
}

/// Memory for a patch of the image's last channels, where they do not fill a vector.
pub(super) struct Buffer([Line; SIDE * SIDE]);

impl Buffer {
    pub(super) fn new() -> Self {
        Self([Line::ZERO; SIDE * SIDE])
    }

    /// A patch like another, in this memory.
    #[inline(always)]
    pub(super) fn patch<T: Number>(&mut self, like: &Patch<T>) -> Patch<T> {
        Patch {
            start: self.0.as_mut_ptr().cast(),
            down: SIDE * T::LINE,
            across: T::LINE,
            ..like.clone()
        }
    }
}

/// Copies the first `lanes` numbers of each pixel inside the image.
///
/// # Safety
/// Both patches are whole but for the number of channels.
#[inline(always)]
pub(super) unsafe fn copy<T: Number>(from: &Patch<T>, to: &Patch<T>, lanes: usize) {
    for row in from.rows.clone() {
        for column in from.columns.clone() {
            let (from, to) = (from.at(row, column), to.at(row, column));
            for lane in 0..lanes {
                // SAFETY: the pixel is one of the image's; the caller's promise.
                unsafe { *to.add(lane) = *from.add(lane) };
            }
        }
    }
}
