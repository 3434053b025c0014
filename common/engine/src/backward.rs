//! The pass from the output's gradient to those of input and kernel.
//!
//! Several blocks of rows are expanded at a time where several threads compute. The products of a block are summed up by
//! themselves, and the sums added in the order of blocks, so that neither the number of threads nor that of blocks at a
//! time is seen in a bit.

use std::ops::Range;

use super::forward::share;
use super::instructions::Task;
use super::lowering::{Lowering, Rows};
use super::memory::{Extent, Stack, Workspace};
use super::number::Number;
use super::prepare::Lowered;
use super::product::{Sum, product, transposed_product};
use super::threads::Engine;
use super::vector::Vector;

/// The tensors of a pass.
#[derive(Clone, Copy)]
pub struct Tensors<'a, T> {
    /// Of the output.
    pub(super) gradient: *const T,
    pub(super) input: *const T,
    /// The kernel, if the input's gradient is wanted.
    pub(super) lowered: Option<&'a Lowered>,
    /// What the input's gradient is added to.
    pub(super) to_input: *mut T,
    pub(super) to_kernel: *mut T,
    /// At least one.
    pub(super) images: usize,
}

/// Computes the gradients of kernel and input.
///
/// # Safety
/// The tensors are those of the layer.
pub(super) unsafe fn backward<T: Number, L: Lowering<T>>(
    engine: Engine<'_>,
    lowering: &L,
    tensors: Tensors<'_, T>,
    workspace: &mut Workspace,
) {
    let (points, inner) = (lowering.points(), lowering.inner());
    let outputs = lowering.outputs().next_multiple_of(T::LINE);
    let (threads, total) = (engine.threads(), tensors.images * lowering.rows());
    let at_once = (lowering.block() * threads).min(total);
    let expanded = Extent { points, rows: at_once, columns: inner };
    let gradients = Extent { columns: outputs, ..expanded };
    let sums = Extent { points, rows: outputs, columns: inner };
    let extents = [expanded, gradients, sums];
    let [of_input, of_gradient, of_sums] = workspace.pieces(extents.map(Extent::lines::<T>));
    let mut pass = Pass {
        lowering,
        tensors,
        lowered: tensors.lowered.map(|lowered| lowered.backward(lowering)),
        expanded: expanded.at(of_input),
        gradients: gradients.at(of_gradient),
        sums: sums.at(of_sums),
        rows: 0..0,
        threads,
    };
    while pass.rows.end < total {
        pass.rows = pass.rows.end..total.min(pass.rows.end + at_once);
        // SAFETY: parts of the first pass write rows of their own, those of the second columns of a matrix, those of the
        // third images of their own.
        unsafe {
            engine.run(threads, &Expand(&pass));
            engine.run(pass.product_parts(), &Products(&pass));
            if pass.lowered.is_some() {
                engine.run(threads, &AddToInput(&pass));
            }
        }
    }
    // SAFETY: each part writes the gradients of outputs of its own.
    unsafe { engine.run(threads, &Contract(&pass)) };
}

/// What the passes share.
struct Pass<'a, T, L> {
    lowering: &'a L,
    tensors: Tensors<'a, T>,
    /// The transposed kernel, lowered.
    lowered: Option<Stack<'a, T>>,
    expanded: Stack<'a, T>,
    gradients: Stack<'a, T>,
    sums: Stack<'a, T>,
    /// Those that are expanded.
    rows: Range<usize>,
    threads: usize,
}

// SAFETY: the places are used as `backward` says.
unsafe impl<T: Sync, L: Sync> Sync for Pass<'_, T, L> {}

impl<T: Number, L: Lowering<T>> Pass<'_, T, L> {
    /// Some of the expanded rows.
    fn rows(&self, range: Range<usize>) -> Rows {
        Rows { range, first: self.rows.start }
    }

    /// Into how many pieces of columns the matrix of a point is cut: none, where there are points enough.
    fn pieces(&self) -> usize {
        let lines = self.lowering.inner().div_ceil(T::LINE);
        if self.lowering.points() >= self.threads { 1 } else { self.threads.min(lines) }
    }

    fn product_parts(&self) -> usize {
        self.lowering.points() * self.pieces()
    }

    /// Images that the rows are part of.
    fn images(&self) -> Range<usize> {
        let of_image = self.lowering.rows();
        self.rows.start / of_image..self.rows.end.div_ceil(of_image)
    }
}

/// Expands input and gradient.
struct Expand<'a, T, L>(&'a Pass<'a, T, L>);

impl<T: Number, L: Lowering<T>> Task<T> for Expand<'_, T, L> {
    #[inline(always)]
    unsafe fn run<V: Vector<Number = T>>(&self, part: usize) {
        let Self(pass) = self;
        let Tensors { gradient, input, .. } = pass.tensors;
        let share = share(pass.rows.len(), part, pass.threads);
        let rows = pass.rows(pass.rows.start + share.start..pass.rows.start + share.end);
        // SAFETY: the caller's promise.
        unsafe {
            pass.lowering.expand_input::<V>(input, rows.clone(), pass.expanded);
            pass.lowering.expand_gradient::<V>(gradient, rows, pass.gradients);
        }
    }
}

/// Multiplies what is expanded: adds to the kernel's sums, and puts the input's products in the place of the input.
struct Products<'a, T, L>(&'a Pass<'a, T, L>);

impl<T: Number, L: Lowering<T>> Task<T> for Products<'_, T, L> {
    #[inline(always)]
    unsafe fn run<V: Vector<Number = T>>(&self, part: usize) {
        let Self(pass) = self;
        let (point, pieces) = (part / pass.pieces(), pass.pieces());
        let lines = share(pass.lowering.inner().div_ceil(T::LINE), part % pieces, pieces);
        let columns = lines.start * T::LINE..lines.end * T::LINE;
        let [expanded, gradients, sums] =
            [pass.expanded, pass.gradients, pass.sums].map(|stack| stack.matrix(point));
        let (block, outputs) = (pass.lowering.block(), pass.lowering.outputs());
        for first in (0..pass.rows.len()).step_by(block) {
            let depth = block.min(pass.rows.len() - first);
            let sum = if pass.rows.start + first == 0 { Sum::New } else { Sum::Added };
            let factors = [gradients.from(first, 0), expanded.from(first, 0), sums];
            let rows = 0..outputs.next_multiple_of(T::LINE);
            // SAFETY: the caller's promise.
            unsafe { transposed_product::<V>(factors, rows, columns.clone(), depth, sum) };
        }
        if let Some(lowered) = pass.lowered {
            let factors = [gradients, lowered.matrix(point), expanded];
            // SAFETY: the caller's promise.
            unsafe { product::<V>(factors, 0..pass.rows.len(), columns, outputs) };
        }
    }
}

/// Adds the input's products to its gradient.
struct AddToInput<'a, T, L>(&'a Pass<'a, T, L>);

impl<T: Number, L: Lowering<T>> Task<T> for AddToInput<'_, T, L> {
    #[inline(always)]
    unsafe fn run<V: Vector<Number = T>>(&self, part: usize) {
        let Self(pass) = self;
        let (images, of_image) = (pass.images(), pass.lowering.rows());
        let share = share(images.len(), part, pass.threads);
        let first = (images.start + share.start) * of_image;
        let end = (images.start + share.end) * of_image;
        let rows = pass.rows(first.max(pass.rows.start)..end.min(pass.rows.end));
        let to_input = pass.tensors.to_input;
        // SAFETY: the caller's promise.
        unsafe { pass.lowering.add_to_input::<V>(pass.expanded, rows, to_input) };
    }
}

/// Turns the kernel's sums into its gradient.
struct Contract<'a, T, L>(&'a Pass<'a, T, L>);

impl<T: Number, L: Lowering<T>> Task<T> for Contract<'_, T, L> {
    #[inline(always)]
    unsafe fn run<V: Vector<Number = T>>(&self, part: usize) {
        let Self(pass) = self;
        let outputs = share(pass.lowering.outputs(), part, pass.threads);
        // SAFETY: the caller's promise.
        unsafe { pass.lowering.contract_kernel::<V>(pass.sums, outputs, pass.tensors.to_kernel) };
    }
}
