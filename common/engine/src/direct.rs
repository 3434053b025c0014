//! The plain way to lower a convolution, for any shape: a row of the matrix is the part of an image that an output sees,
//! `[kernel, kernel, inputs]`, with zeros where it looks beyond the image.
//!
//! Zeros are multiplied like any other number. They change no bit of a sum of finite numbers, which begins with +0 and so
//! is never −0.

use std::ops::Range;

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

    /// Whether all of a window lies in the image.
    #[inline(always)]
    fn is_whole(&self, window: &Window) -> bool {
        window.rows.len() * window.columns.len() == self.shape.taps()
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

    fn outputs(&self) -> usize {
        self.shape.outputs
    }

    fn block(&self) -> usize {
        BLOCK
    }

    fn strip(&self) -> usize {
        let numbers = self.shape.taps() * self.shape.inputs + self.shape.outputs;
        (STRIP / numbers).next_multiple_of(12).clamp(24, 192)
    }

    #[inline(always)]
    unsafe fn expand_input<V: Vector<Number = T>>(
        &self,
        input: *const T,
        rows: Rows,
        expanded: Stack<'_, T>,
    ) {
        let after = rows.range.end;
        for (row, window) in self.windows(rows.range) {
            let (to, whole) = (expanded.from(row - rows.first, 0), self.is_whole(&window));
            // The end of what may be read in whole vectors. What they write beyond a piece is overwritten by the next one,
            // or lies in the next row, which follows. The last row's neighbour may be another thread's.
            let end = window.image + self.shape.input_numbers();
            let end = if whole && row + 1 < after { end } else { 0 };
            // SAFETY: pieces lie in the input and in the row, which is one of the stack's.
            unsafe {
                if !whole {
                    for column in (0..Lowering::<T>::inner(self)).step_by(T::LINE) {
                        to.place(0, column).write_bytes(0, T::LINE);
                    }
                }
                for Piece { window, input: from, count } in self.pieces::<T>(&window) {
                    let (place, from_place) = (to.place(0, window), input.add(from));
                    if from + count.next_multiple_of(V::LANES) <= end {
                        copy_vectors::<V>(from_place, place, count);
                    } else {
                        copy::<V>(from_place, place, count);
                    }
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
        let outputs = self.shape.outputs;
        for row in rows.range {
            for column in (0..outputs).step_by(T::LINE) {
                // SAFETY: the row is one of the output's and of the stack's.
                unsafe {
                    let to = expanded.place(row - rows.first, column);
                    let count = T::LINE.min(outputs - column);
                    if count < T::LINE {
                        to.write_bytes(0, T::LINE);
                    }
                    copy::<V>(gradient.add(row * outputs + column), to, count);
                }
            }
        }
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

/// Copies numbers, and what follows them up to a whole vector.
#[inline(always)]
unsafe fn copy_vectors<V: Vector>(from: *const V::Number, to: *mut V::Number, count: usize) {
    for i in (0..count).step_by(V::LANES) {
        // SAFETY: the caller's promise.
        unsafe { V::load(from.add(i)).store(to.add(i)) };
    }
}

/// Copies numbers.
#[inline(always)]
unsafe fn copy<V: Vector>(from: *const V::Number, to: *mut V::Number, count: usize) {
    let whole = count - count % V::LANES;
    // SAFETY: the caller's promise.
    unsafe {
        for i in (0..whole).step_by(V::LANES) {
            V::load(from.add(i)).store(to.add(i));
        }
        for i in whole..count {
            *to.add(i) = *from.add(i);
        }
    }
}

/// Adds numbers to others.
#[inline(always)]
unsafe fn add<V: Vector>(from: *const V::Number, to: *mut V::Number, count: usize) {
    let whole = count - count % V::LANES;
    // SAFETY: the caller's promise.
    unsafe {
        for i in (0..whole).step_by(V::LANES) {
            V::load(to.add(i)).add(V::load(from.add(i))).store(to.add(i));
        }
        for i in whole..count {
            *to.add(i) = *to.add(i) + *from.add(i);
        }
    }
}
