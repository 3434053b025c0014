//! The pass from input to output.

use super::images::{Held, Images, Observer, by_image};
use super::instructions::Task;
use super::lowering::{Lowering, Rows};
use super::memory::{Extent, Piece, Stack, Workspace, lines_of};
use super::number::Number;
use super::prepare::Lowered;
use super::product::product;
use super::share::share;
use super::threads::Engine;
use super::vector::Vector;

/// The tensors of a pass.
#[derive(Clone, Copy)]
pub struct Tensors<'a, T> {
    pub(super) input: &'a dyn Images<T>,
    pub(super) lowered: &'a Lowered,
    pub(super) output: *mut T,
    /// Of the output.
    pub(super) observer: Observer<'a, T>,
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
    let lowered = tensors.lowered.forward(lowering);
    let (points, strip) = (lowering.points(), lowering.strip());
    let expanded = Extent { points, rows: strip, columns: lowering.inner() };
    let products = Extent { points, rows: strip, columns: lowering.outputs() };
    let parts = engine.threads().min(tensors.input.count()).max(1);
    let rooms = [lowering.shape().input_numbers(), lowering.scratch()].map(lines_of::<T>);
    let lines = [expanded.lines::<T>(), products.lines::<T>(), rooms[0], rooms[1]];
    let memory = workspace.pieces(lines.map(|lines| parts * lines));
    let pass = Forward { lowering, tensors, lowered, parts, memory, expanded, products };
    // SAFETY: each part has images and memory of its own.
    unsafe { engine.run(parts, &pass) };
}

/// The pass, of which a part computes as many neighbouring images as any other, a strip of rows at a time.
struct Forward<'a, T, L> {
    lowering: &'a L,
    tensors: Tensors<'a, T>,
    lowered: Stack<'a, T>,
    parts: usize,
    memory: [Piece<'a>; 4],
    expanded: Extent,
    products: Extent,
}

// SAFETY: the places are read by all parts, or written to where no other part does.
unsafe impl<T: Sync, L: Sync> Sync for Forward<'_, T, L> {}

impl<T: Number, L: Lowering<T>> Task<T> for Forward<'_, T, L> {
    #[inline(always)]
    unsafe fn run<V: Vector<Number = T>>(&self, part: usize) {
        let Self { lowering, tensors, .. } = self;
        let [expanded, products, room, scratch] =
            self.memory.map(|piece| piece.part(part, self.parts));
        let expanded = self.expanded.at::<T>(expanded);
        let products = self.products.at::<T>(products);
        let shape = lowering.shape();
        let mut input = Held::new(tensors.input, shape.input_numbers(), room.numbers());
        let of_image = lowering.rows();
        let images = share(tensors.input.count(), part, self.parts);
        let end = images.end * of_image;
        for first in (images.start * of_image..end).step_by(self.expanded.rows) {
            let rows = first..end.min(first + self.expanded.rows);
            // SAFETY: the rows are this part's alone, the stacks have room for a strip; the caller's promise.
            unsafe {
                for (image, range) in by_image(rows.clone(), of_image) {
                    let rows = Rows { range, first };
                    let (input, scratch) = (input.origin(image), scratch.numbers());
                    lowering.expand_input::<V>(input, rows, expanded, scratch);
                }
                self.multiply::<V>(rows.len(), expanded, products);
                for (image, range) in by_image(rows, of_image) {
                    let is_last = range.end == (image + 1) * of_image;
                    lowering.contract_output::<V>(products, Rows { range, first }, tensors.output);
                    if is_last {
                        self.tell(image);
                    }
                }
            }
        }
    }
}

impl<T: Number, L: Lowering<T>> Forward<'_, T, L> {
    /// Multiplies expanded rows by the kernel, at each point.
    #[inline(always)]
    unsafe fn multiply<V: Vector<Number = T>>(
        &self,
        rows: usize,
        expanded: Stack<'_, T>,
        products: Stack<'_, T>,
    ) {
        let columns = 0..self.lowering.outputs().next_multiple_of(T::LINE);
        for point in 0..self.expanded.points {
            let factors = [expanded, self.lowered, products].map(|stack| stack.matrix(point));
            // SAFETY: the caller's promise.
            unsafe { product::<V>(factors, 0..rows, columns.clone(), self.lowering.inner()) };
        }
    }

    /// Tells of an image that is complete.
    unsafe fn tell(&self, image: usize) {
        let count = self.lowering.shape().output_numbers();
        // SAFETY: the image is one of the output's, and nobody writes to it any more.
        let numbers =
            unsafe { std::slice::from_raw_parts(self.tensors.output.add(image * count), count) };
        (self.tensors.observer)(image, numbers);
    }
}
