//! The pass from input to output, and what it needs of the kernel.

use std::ops::Range;

use super::instructions::Task;
use super::lowering::{Lowering, Rows};
use super::memory::{Extent, Piece, Stack, Workspace};
use super::number::Number;
use super::prepare::Lowered;
use super::product::product;
use super::threads::Engine;
use super::vector::Vector;

/// The tensors of a pass.
#[derive(Clone, Copy)]
pub struct Tensors<'a, T> {
    pub(super) input: *const T,
    pub(super) lowered: &'a Lowered,
    pub(super) output: *mut T,
    pub(super) images: usize,
}

/// Computes the output, given the lowered kernel.
///
/// # Safety
/// The tensors are those of the layer.
pub(super) unsafe fn forward<T: Number, L: Lowering<T>>(
    engine: Engine<'_>,
    lowering: &L,
    tensors: Tensors<'_, T>,
    workspace: &mut Workspace,
) {
    let Tensors { input, lowered, output, images } = tensors;
    let lowered = lowered.forward(lowering);
    let (points, strip) = (lowering.points(), lowering.strip());
    let expanded = Extent { points, rows: strip, columns: lowering.inner() };
    let products = Extent { points, rows: strip, columns: lowering.outputs() };
    let rows = images * lowering.rows();
    let parts = engine.threads().min(rows.div_ceil(strip)).max(1);
    let memory = workspace.pieces([expanded, products].map(|extent| parts * extent.lines::<T>()));
    let pass =
        Forward { lowering, input, lowered, output, rows, parts, memory, expanded, products };
    // SAFETY: each part has rows and memory of its own.
    unsafe { engine.run(parts, &pass) };
}

/// The pass, of which a part computes as many neighbouring rows as any other, a strip at a time.
struct Forward<'a, T, L> {
    lowering: &'a L,
    input: *const T,
    lowered: Stack<'a, T>,
    output: *mut T,
    rows: usize,
    parts: usize,
    memory: [Piece<'a>; 2],
    expanded: Extent,
    products: Extent,
}

// SAFETY: the places are read by all parts, or written to where no other part does.
unsafe impl<T: Sync, L: Sync> Sync for Forward<'_, T, L> {}

impl<T: Number, L: Lowering<T>> Task<T> for Forward<'_, T, L> {
    #[inline(always)]
    unsafe fn run<V: Vector<Number = T>>(&self, part: usize) {
        let [expanded, products] = self.memory.map(|piece| piece.part(part, self.parts));
        let expanded = self.expanded.at::<T>(expanded);
        let products = self.products.at::<T>(products);
        let (inner, outputs) = (self.expanded.columns, self.products.columns);
        let Range { start: mut first, end } = share(self.rows, part, self.parts);
        while first < end {
            let count = self.expanded.rows.min(end - first);
            let rows = Rows { range: first..first + count, first };
            let columns = 0..outputs.next_multiple_of(T::LINE);
            // SAFETY: the rows are this part's alone, the stacks have room for a strip; the caller's promise.
            unsafe {
                self.lowering.expand_input::<V>(self.input, rows.clone(), expanded);
                for point in 0..self.expanded.points {
                    let factors = [expanded, self.lowered, products].map(|m| m.matrix(point));
                    product::<V>(factors, 0..count, columns.clone(), inner);
                }
                self.lowering.contract_output::<V>(products, rows, self.output);
            }
            first += count;
        }
    }
}

/// One of equal shares of `count` things, as far as they can be equal.
pub(super) fn share(count: usize, part: usize, parts: usize) -> Range<usize> {
    count * part / parts..count * (part + 1) / parts
}
