//! Both gradients by all threads together, where there is one group: each expands some of the rows, then multiplies some
//! of the points' matrices, then adds to some of the images. As many blocks as there are threads are expanded at a time.

use std::ops::Range;

use super::super::instructions::Task;
use super::super::lowering::{Lowering, Rows};
use super::super::memory::Stack;
use super::super::number::Number;
use super::super::product::{Sum, product, transposed_product};
use super::super::share::share;
use super::super::threads::Engine;
use super::super::vector::Vector;
use super::pass::Pass;

/// Adds to the input's gradient, and leaves the sums of the group.
///
/// # Safety
/// The tensors are those of the layer.
pub(super) unsafe fn run<T: Number, L: Lowering<T>>(engine: Engine<'_>, pass: &Pass<'_, T, L>) {
    let (all, at_once) = (pass.rows(0), pass.expanded.0.rows);
    let stacks = pass.stacks(0);
    for start in all.clone().step_by(at_once) {
        let rows = start..all.end.min(start + at_once);
        let shared = Shared { pass, stacks, rows };
        // SAFETY: parts of the first pass write rows of their own, those of the second columns of a matrix, those of the
        // third images of their own.
        unsafe {
            engine.run(pass.threads, &Expand(&shared));
            engine.run(shared.product_parts(), &Products(&shared));
            if pass.lowered.is_some() {
                engine.run(pass.threads, &AddToInput(&shared));
            }
        }
    }
}

/// What the three passes over some rows share.
struct Shared<'a, T, L> {
    pass: &'a Pass<'a, T, L>,
    stacks: [Stack<'a, T>; 2],
    rows: Range<usize>,
}

impl<T: Number, L: Lowering<T>> Shared<'_, T, L> {
    /// Into how many pieces of columns the matrix of a point is cut: none, where there are points enough.
    fn pieces(&self) -> usize {
        let lines = self.pass.lowering.inner().div_ceil(T::LINE);
        let threads = self.pass.threads;
        if self.pass.lowering.points() >= threads { 1 } else { threads.min(lines) }
    }

    fn product_parts(&self) -> usize {
        self.pass.lowering.points() * self.pieces()
    }

    /// The rows of a thread's images.
    fn share(&self, thread: usize) -> Rows {
        let of_image = self.pass.lowering.rows();
        let images = self.rows.start / of_image..self.rows.end.div_ceil(of_image);
        let share = share(images.len(), thread, self.pass.threads);
        let first = ((images.start + share.start) * of_image).max(self.rows.start);
        let end = ((images.start + share.end) * of_image).min(self.rows.end);
        Rows { range: first..end, first: self.rows.start }
    }
}

/// Expands input and gradient.
struct Expand<'a, T, L>(&'a Shared<'a, T, L>);

impl<T: Number, L: Lowering<T>> Task<T> for Expand<'_, T, L> {
    #[inline(always)]
    unsafe fn run<V: Vector<Number = T>>(&self, part: usize) {
        let Self(shared) = self;
        let mut own = shared.pass.own(part);
        // SAFETY: the caller's promise.
        unsafe { shared.pass.expand::<V>(&mut own, &shared.share(part), shared.stacks) };
    }
}

/// Multiplies what is expanded: adds to the kernel's sums, and puts the input's products in the place of the input.
struct Products<'a, T, L>(&'a Shared<'a, T, L>);

impl<T: Number, L: Lowering<T>> Task<T> for Products<'_, T, L> {
    #[inline(always)]
    unsafe fn run<V: Vector<Number = T>>(&self, part: usize) {
        let Self(shared) = self;
        let (pass, pieces) = (shared.pass, shared.pieces());
        let (point, lowering) = (part / pieces, pass.lowering);
        let lines = share(lowering.inner().div_ceil(T::LINE), part % pieces, pieces);
        let columns = lines.start * T::LINE..lines.end * T::LINE;
        let [expanded, gradients] = shared.stacks.map(|stack| stack.matrix(point));
        let sums = pass.sums(0).matrix(point);
        let (block, outputs) = (lowering.block(), lowering.outputs());
        for first in (0..shared.rows.len()).step_by(block) {
            let depth = block.min(shared.rows.len() - first);
            let sum = if shared.rows.start + first == 0 { Sum::New } else { Sum::Added };
            let factors = [gradients.from(first, 0), expanded.from(first, 0), sums];
            let rows = 0..outputs.next_multiple_of(T::LINE);
            // SAFETY: the caller's promise.
            unsafe { transposed_product::<V>(factors, rows, columns.clone(), depth, sum) };
        }
        if let Some(lowered) = pass.lowered {
            let factors = [gradients, lowered.matrix(point), expanded];
            // SAFETY: the caller's promise.
            unsafe { product::<V>(factors, 0..shared.rows.len(), columns, outputs) };
        }
    }
}

/// Adds the input's products to its gradient.
struct AddToInput<'a, T, L>(&'a Shared<'a, T, L>);

impl<T: Number, L: Lowering<T>> Task<T> for AddToInput<'_, T, L> {
    #[inline(always)]
    unsafe fn run<V: Vector<Number = T>>(&self, part: usize) {
        let Self(shared) = self;
        let [expanded, _] = shared.stacks;
        // SAFETY: the caller's promise.
        unsafe { shared.pass.add_to_input::<V>(expanded, shared.share(part)) };
    }
}
