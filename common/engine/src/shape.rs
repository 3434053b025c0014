//! The shape of a layer.

use std::ops::Range;

/// A convolution of `[images, height, width, inputs]` by `[outputs, kernel, kernel, inputs]`, with `padding` zeros around
/// each image, to `[images, output_height, output_width, outputs]`. A linear layer is one of images of one pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Of the input, pixels.
    pub height: usize,
    /// Of the input, pixels.
    pub width: usize,
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Height and width of the kernel.
    pub kernel: usize,
    /// Pixels of the input from one output to the next.
    pub stride: usize,
    /// Zeros on each side of an image.
    pub padding: usize,
}

/// Why there is no such layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// A size is zero.
    #[error("a layer needs images, channels, a kernel and a stride of at least 1: {0:?}")]
    Empty(Shape),
    /// There is no place for the kernel.
    #[error(
        "a kernel of {side} × {side} does not fit on an image of {height} × {width} with {padding} zeros on each side",
        side = .0.kernel, height = .0.height, width = .0.width, padding = .0.padding
    )]
    TooSmall(Shape),
}

impl Shape {
    /// Of a linear layer, `[samples, inputs]` by `[outputs, inputs]`.
    pub fn linear(inputs: usize, outputs: usize) -> Self {
        Self { height: 1, width: 1, inputs, outputs, kernel: 1, stride: 1, padding: 0 }
    }

    /// Checks it.
    ///
    /// # Errors
    /// It has no output.
    pub fn check(self) -> Result<Self, ShapeError> {
        let Self { height, width, inputs, outputs, kernel, stride, padding } = self;
        if [height, width, inputs, outputs, kernel, stride].contains(&0) {
            return Err(ShapeError::Empty(self));
        }
        if height.min(width) + 2 * padding < kernel {
            return Err(ShapeError::TooSmall(self));
        }
        Ok(self)
    }

    /// Of the output, pixels.
    pub fn output_height(&self) -> usize {
        (self.height + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Of the output, pixels.
    pub fn output_width(&self) -> usize {
        (self.width + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Numbers of an image of the input.
    pub fn input_numbers(&self) -> usize {
        self.height * self.width * self.inputs
    }

    /// Numbers of an image of the output.
    pub fn output_numbers(&self) -> usize {
        self.output_height() * self.output_width() * self.outputs
    }

    /// Numbers of the kernel.
    pub fn weights(&self) -> usize {
        self.outputs * self.taps() * self.inputs
    }

    /// Places of the kernel.
    pub(super) fn taps(&self) -> usize {
        self.kernel * self.kernel
    }
}

/// Which of `count` places from `start` on lie in `0..limit`.
#[inline(always)]
pub(super) fn inside(start: isize, count: usize, limit: usize) -> Range<usize> {
    let first = (-start).clamp(0, count as isize);
    let end = (limit as isize - start).clamp(first, count as isize);
    first as usize..end as usize
}
