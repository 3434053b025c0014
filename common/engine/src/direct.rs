//! The plain way to lower a convolution, for any shape: a row of the matrix is the part of an image that an output sees,
//! `[kernel, kernel, inputs]`, with zeros where it looks beyond the image.
//!
//! Zeros are multiplied like any other number. They change no bit of a sum of finite numbers, which begins with +0 and so
//! is never −0. To expand some outputs, the band of the image that they see is first copied with its zeros, so that no
//! window has to look where the image ends.

use std::ops::Range;

use super::copying::{add, copy, copy_rows, copy_vectors};
use super::lowering::{Lowering, Rows};
use super::memory::Stack;
use super::number::Number;
use super::shape::{Shape, inside};
use super::vector::Vector;

/// Positions whose products are summed up before they are added to others'.
const BLOCK: usize = 192;
/// Numbers of an expanded strip, about half of what a core's own cache holds in 32 bits.
const STRIP: usize = 1 << 16;

/// A convolution as one product of matrices.
#[derive(Clone, Copy, Debug)]
pub(super) struct Direct {
    shape: Shape,
}

/// What an output sees of the input.
struct Window {
    /// The first number of the image.
    image: usize,
    /// Of the window's first row and column; less than zero in the padding.
    top: isize,
    left: isize,
    /// Its rows and columns that are part of the image.
    rows: Range<usize>,
    columns: Range<usize>,
}

/// Neighbouring numbers of a window that are neighbours in the image and lie in one line of the matrix.
struct Piece {
    /// The first, in the window and in the input.
    window: usize,
    input: usize,
    count: usize,
}

impl Direct {
    pub(super) fn new(shape: Shape) -> Self {
        Self { shape }
    }

    /// The windows of neighbouring outputs.
    #[inline(always)]
    fn windows(&self, outputs: Range<usize>) -> impl Iterator<Item = (usize, Window)> {
        let (height, width) = (self.shape.output_height(), self.shape.output_width());
        let (line, mut column) = (outputs.start / width, outputs.start % width);
        let (mut image, mut row) = (line / height, line % height);
        outputs.map(move |output| {
            let window = self.window(image, row, column);
            // Counting takes a tenth of dividing.
            column += 1;
            if column == width {
                (row, column) = (row + 1, 0);
            }
            if row == height {
                (image, row) = (image + 1, 0);
            }
            (output, window)
        })
    }

    #[inline(always)]
    fn window(&self, image: usize, row: usize, column: usize) -> Window {
        let Shape { height, width, kernel, stride, padding, .. } = self.shape;
        let top = (row * stride) as isize - padding as isize;
        let left = (column * stride) as isize - padding as isize;
        let columns = inside(left, kernel, width);
        let rows = if columns.is_empty() { 0..0 } else { inside(top, kernel, height) };
        Window { image: image * self.shape.input_numbers(), top, left, rows, columns }
    }

    /// Numbers of a row of the image with its padding.
    #[inline(always)]
    fn band_row(&self) -> usize {
        (self.shape.width + 2 * self.shape.padding) * self.shape.inputs
    }

    /// Numbers of the padded image, and of what may be read beyond it.
    #[inline(always)]
    fn band_numbers<T: Number>(&self) -> usize {
        let numbers = (self.shape.height + 2 * self.shape.padding) * self.band_row();
        numbers.next_multiple_of(T::LINE) + T::LINE
    }

    /// Copies what the outputs of an image see of it, with zeros around.
    #[inline(always)]
    unsafe fn fill_band<T: Number>(&self, input: *const T, outputs: &Range<usize>, band: *mut T) {
        let Shape { height, width, inputs, kernel, stride, padding, .. } = self.shape;
        let (rows, columns) = (self.shape.output_height(), self.shape.output_width());
        let (top, last) = (outputs.start / columns, (outputs.end - 1) / columns);
        let (image, next) = (top / rows, self.band_row());
        for line in 0..(last - top) * stride + kernel {
            let y = (top % rows * stride + line).wrapping_sub(padding);
            // SAFETY: the outputs are some of an image, the line is one of the padded image's; the caller's promise.
            unsafe {
                let to = band.add(line * next);
                if y < height {
                    to.write_bytes(0, padding * inputs);
                    let from = input.add((image * height + y) * width * inputs);
                    to.add(padding * inputs).copy_from_nonoverlapping(from, width * inputs);
                    to.add((padding + width) * inputs).write_bytes(0, padding * inputs);
                } else {
                    to.write_bytes(0, next);
                }
            }
        }
    }

    /// The part of a window that lies in the image.
    #[inline(always)]
    fn pieces<T: Number>(&self, window: &Window) -> impl Iterator<Item = Piece> {
        let Shape { width, inputs, kernel, .. } = self.shape;
        let Window { image, top, left, ref rows, ref columns } = *window;
        let (first, row_numbers) = (columns.start, columns.len() * inputs);
        rows.clone().flat_map(move |row| {
            let pixel = (top + row as isize) * width as isize + left + first as isize;
            let from = image + pixel as usize * inputs;
            let start = (row * kernel + first) * inputs;
            let mut done = 0;
            std::iter::from_fn(move || {
                let (window, input) = (start + done, from + done);
                let count = (T::LINE - window % T::LINE).min(row_numbers - done);
                done += count;
                (count > 0).then_some(Piece { window, input, count })
            })
        })
    }
}

impl<T: Number> Lowering<T> for Direct {
    fn points(&self) -> usize {
        1
    }

    fn rows(&self) -> usize {
        self.shape.output_height() * self.shape.output_width()
    }

    fn inner(&self) -> usize {
        self.shape.taps() * self.shape.inputs
    }

    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn block(&self) -> usize {
        BLOCK
    }

    fn strip(&self) -> usize {
        let numbers = self.shape.taps() * self.shape.inputs + self.shape.outputs;
        (STRIP / numbers).next_multiple_of(12).clamp(24, 192)
    }

    fn scratch(&self) -> usize {
        self.band_numbers::<T>() + Lowering::<T>::inner(self) + 2 * T::LINE
    }

    #[inline(always)]
    unsafe fn expand_input<V: Vector<Number = T>>(
        &self,
        input: *const T,
        rows: Rows,
        expanded: Stack<'_, T>,
        scratch: *mut T,
    ) {
        let Shape { inputs, kernel, stride, padding, .. } = self.shape;
        if (kernel, stride, padding) == (1, 1, 0) {
            // SAFETY: the caller's promise.
            return unsafe { copy_rows::<V>(input, inputs, rows, expanded) };
        }
        let (columns, segment) = (self.shape.output_width(), kernel * inputs);
        let (inner, next) = (Lowering::<T>::inner(self), self.band_row());
        // SAFETY: the scratch has room for the band and, behind it, for a row; both may be read and written to a vector
        // beyond their end.
        unsafe {
            self.fill_band(input, &rows.range, scratch);
            let buffer = scratch.add(self.band_numbers::<T>());
            let mut position = (0, rows.range.start % columns);
            for row in rows.range {
                let from = scratch.add((position.0 * next + position.1 * inputs) * stride);
                position.1 += 1;
                if position.1 == columns {
                    position = (position.0 + 1, 0);
                }
                for line in 0..kernel {
                    copy_vectors::<V>(from.add(line * next), buffer.add(line * segment), segment);
                }
                for column in (0..inner).step_by(T::LINE) {
                    let to = expanded.place(row - rows.first, column);
                    copy_vectors::<V>(buffer.add(column), to, T::LINE);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn expand_gradient<V: Vector<Number = T>>(
        &self,
        gradient: *const T,
        rows: Rows,
        expanded: Stack<'_, T>,
    ) {
        // SAFETY: the rows are those of the output and of the stack.
        unsafe { copy_rows::<V>(gradient, self.shape.outputs, rows, expanded) };
    }

    #[inline(always)]
    unsafe fn contract_output<V: Vector<Number = T>>(
        &self,
        products: Stack<'_, T>,
        rows: Rows,
        output: *mut T,
    ) {
        let outputs = self.shape.outputs;
        for row in rows.range {
            for column in (0..outputs).step_by(T::LINE) {
                let from = products.place(row - rows.first, column);
                let count = T::LINE.min(outputs - column);
                // SAFETY: the row is one of the output's and of the stack's.
                unsafe { copy::<V>(from, output.add(row * outputs + column), count) };
            }
        }
    }

    #[inline(always)]
    unsafe fn add_to_input<V: Vector<Number = T>>(
        &self,
        products: Stack<'_, T>,
        rows: Rows,
        to_input: *mut T,
    ) {
        for (row, window) in self.windows(rows.range) {
            for Piece { window, input: to, count } in self.pieces::<T>(&window) {
                let from = products.place(row - rows.first, window);
                // SAFETY: as in `expand_input`.
                unsafe { add::<V>(from, to_input.add(to), count) };
            }
        }
    }

    #[inline(always)]
    unsafe fn lower_kernel<V: Vector<Number = T>>(
        &self,
        kernel: *const T,
        outputs: Range<usize>,
        lowered: Stack<'_, T>,
    ) {
        let numbers = Lowering::<T>::inner(self);
        for row in 0..numbers {
            for output in outputs.clone() {
                // SAFETY: the number is one of the kernel's and of the stack's.
                unsafe { *lowered.place(row, output) = *kernel.add(output * numbers + row) };
            }
        }
    }

    #[inline(always)]
    unsafe fn lower_kernel_transposed<V: Vector<Number = T>>(
        &self,
        kernel: *const T,
        outputs: Range<usize>,
        lowered: Stack<'_, T>,
    ) {
        let numbers = Lowering::<T>::inner(self);
        for output in outputs {
            for column in (0..numbers).step_by(T::LINE) {
                let from = kernel.wrapping_add(output * numbers + column);
                let count = T::LINE.min(numbers - column);
                // SAFETY: as in `lower_kernel`.
                unsafe { copy::<V>(from, lowered.place(output, column), count) };
            }
        }
    }

    #[inline(always)]
    unsafe fn contract_kernel<V: Vector<Number = T>>(
        &self,
        products: Stack<'_, T>,
        outputs: Range<usize>,
        to_kernel: *mut T,
    ) {
        let numbers = Lowering::<T>::inner(self);
        for output in outputs {
            for column in (0..numbers).step_by(T::LINE) {
                let to = to_kernel.wrapping_add(output * numbers + column);
                let count = T::LINE.min(numbers - column);
                // SAFETY: as in `lower_kernel`.
                unsafe { copy::<V>(products.place(output, column), to, count) };
            }
        }
    }
}
