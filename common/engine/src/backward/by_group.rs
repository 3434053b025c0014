//! Both gradients, a group of images at a time by one thread.

use super::super::instructions::Task;
use super::super::lowering::{Lowering, Rows};
use super::super::memory::Stack;
use super::super::number::Number;
use super::super::product::{Sum, product, transposed_product};
use super::super::share::share;
use super::super::threads::Engine;
use super::super::vector::Vector;
use super::pass::Pass;

/// Adds to the input's gradient, and leaves the sums of each group.
///
/// # Safety
/// The tensors are those of the layer.
pub(super) unsafe fn run<T: Number, L: Lowering<T>>(engine: Engine<'_>, pass: &Pass<'_, T, L>) {
    // SAFETY: each part has groups of its own, with their images and sums, and stacks.
    unsafe { engine.run(pass.crews, &Groups(pass)) };
}

struct Groups<'a, T, L>(&'a Pass<'a, T, L>);

impl<T: Number, L: Lowering<T>> Task<T> for Groups<'_, T, L> {
    #[inline(always)]
    unsafe fn run<V: Vector<Number = T>>(&self, part: usize) {
        let Self(pass) = self;
        let (stacks, mut own) = (pass.stacks(part), pass.own(part));
        for group in share(pass.groups, part, pass.crews) {
            let rows = pass.rows(group);
            for first in rows.clone().step_by(pass.lowering.block()) {
                let sum = if first == rows.start { Sum::New } else { Sum::Added };
                let range = first..rows.end.min(first + pass.lowering.block());
                let block = Rows { range, first };
                // SAFETY: the caller's promise.
                unsafe {
                    pass.expand::<V>(&mut own, &block, stacks);
                    multiply::<T, L, V>(pass, stacks, block.range.len(), (group, sum));
                    if pass.lowered.is_some() {
                        pass.add_to_input::<V>(stacks[0], block);
                    }
                }
            }
        }
    }
}

/// Multiplies the rows of a block: adds to the kernel's sums, and puts the input's products in the place of the input.
#[inline(always)]
unsafe fn multiply<T: Number, L: Lowering<T>, V: Vector<Number = T>>(
    pass: &Pass<'_, T, L>,
    [expanded, gradients]: [Stack<'_, T>; 2],
    count: usize,
    (group, sum): (usize, Sum),
) {
    let (lowering, sums) = (pass.lowering, pass.sums(group));
    let outputs = lowering.outputs();
    let lines = 0..outputs.next_multiple_of(T::LINE);
    let columns = 0..lowering.inner().next_multiple_of(T::LINE);
    for point in 0..lowering.points() {
        let [expanded, gradients, sums] =
            [expanded, gradients, sums].map(|stack| stack.matrix(point));
        let factors = [gradients, expanded, sums];
        // SAFETY: the caller's promise.
        unsafe {
            transposed_product::<V>(factors, lines.clone(), columns.clone(), count, sum);
            if let Some(lowered) = pass.lowered {
                let factors = [gradients, lowered.matrix(point), expanded];
                product::<V>(factors, 0..count, columns.clone(), outputs);
            }
        }
    }
}
