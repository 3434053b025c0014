//! Minimal filtering (Winograd; Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", 2016): tiles of 4 × 4
//! outputs with fewer multiplications than outputs times the kernel's numbers, at the price of larger rounding errors.
//!
//! - [`scheme`]: the transforms of a scheme, which are linear maps in one dimension;
//! - [`three`], [`five`]: those of F(4, 3) and F(4, 5);
//! - [`patch`]: the part of an image that a tile reads or writes;
//! - [`plane`]: what a transform in two dimensions is;
//! - [`tiles`], [`kernels`]: those of tiles and of kernels.
//!
//! A tile of the input is transformed along its columns first, then along its rows, and so is everything else.

mod five;
mod kernels;
mod patch;
mod plane;
mod scheme;
mod three;
mod tiles;

use std::marker::PhantomData;

use super::shape::Shape;

pub(super) use five::Five;
pub(super) use three::Three;

/// A convolution with stride 1 in tiles of `M × M` outputs that see `N × N` inputs through a kernel of `R × R`.
#[derive(Debug)]
pub(super) struct Winograd<S, const N: usize, const M: usize, const R: usize> {
    shape: Shape,
    /// Tiles of an image, from top to bottom and from left to right.
    down: usize,
    across: usize,
    scheme: PhantomData<S>,
}

impl<S, const N: usize, const M: usize, const R: usize> Winograd<S, N, M, R> {
    pub(super) fn new(shape: Shape) -> Self {
        assert!(shape.kernel == R && shape.stride == 1, "no tiles for {shape:?}");
        let down = shape.output_height().div_ceil(M);
        let across = shape.output_width().div_ceil(M);
        Self { shape, down, across, scheme: PhantomData }
    }

    /// Image of a tile, and its first output's row and column.
    #[inline(always)]
    fn place(&self, tile: usize) -> (usize, usize, usize) {
        let (line, column) = (tile / self.across, tile % self.across);
        (line / self.down, line % self.down * M, column * M)
    }
}
