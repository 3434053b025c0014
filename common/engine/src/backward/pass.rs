//! What the ways to compute both gradients share.

use std::ops::Range;

use super::super::images::{Held, by_image};
use super::super::lowering::{Lowering, Rows};
use super::super::memory::{Extent, Piece, Stack};
use super::super::number::Number;
use super::super::share::share;
use super::super::vector::Vector;
use super::Tensors;

/// Who computes a group: one thread, of as many as can work side by side, or all of them.
pub(super) struct Crews {
    pub count: usize,
    /// Threads of each.
    pub members: usize,
}

impl Crews {
    pub(super) fn of(threads: usize, groups: usize) -> Self {
        if groups == 1 && threads > 1 {
            Self { count: 1, members: threads }
        } else {
            Self { count: threads.min(groups), members: 1 }
        }
    }
}

/// Tensors and memory of a pass.
pub(super) struct Pass<'a, T, L> {
    pub lowering: &'a L,
    pub tensors: Tensors<'a, T>,
    /// The transposed kernel, lowered.
    pub lowered: Option<Stack<'a, T>>,
    /// Of each crew.
    pub expanded: (Extent, Piece<'a>),
    pub gradients: (Extent, Piece<'a>),
    /// Of each group.
    pub sums: (Extent, Piece<'a>),
    /// Of each thread, for an image of the input and one of the gradient.
    pub rooms: [Piece<'a>; 2],
    /// Of each thread, for the lowering.
    pub scratch: Piece<'a>,
    pub groups: usize,
    pub crews: usize,
    pub threads: usize,
}

/// What a thread has for itself.
pub(super) struct Own<'a, T> {
    input: Held<'a, T>,
    gradient: Held<'a, T>,
    scratch: *mut T,
}

// SAFETY: the tensors' places are used as each way says.
unsafe impl<T: Sync, L: Sync> Sync for Pass<'_, T, L> {}

impl<T: Number, L: Lowering<T>> Pass<'_, T, L> {
    /// Where a crew expands input and gradient.
    pub(super) fn stacks(&self, crew: usize) -> [Stack<'_, T>; 2] {
        [self.expanded, self.gradients]
            .map(|(extent, piece)| extent.at(piece.part(crew, self.crews)))
    }

    /// The sums of a group.
    pub(super) fn sums(&self, group: usize) -> Stack<'_, T> {
        let (extent, piece) = self.sums;
        extent.at(piece.part(group, self.groups))
    }

    /// The rows of a group's images.
    pub(super) fn rows(&self, group: usize) -> Range<usize> {
        let images = share(self.tensors.input.count(), group, self.groups);
        images.start * self.lowering.rows()..images.end * self.lowering.rows()
    }

    /// What a thread expands input and gradient by.
    pub(super) fn own(&self, thread: usize) -> Own<'_, T> {
        let shape = self.lowering.shape();
        let [input, gradient] = self.rooms.map(|piece| piece.part(thread, self.threads).numbers());
        Own {
            input: Held::new(self.tensors.input, shape.input_numbers(), input),
            gradient: Held::new(self.tensors.gradient, shape.output_numbers(), gradient),
            scratch: self.scratch.part(thread, self.threads).numbers(),
        }
    }

    /// Expands input and gradient.
    ///
    /// # Safety
    /// The rows and `own` are the caller's alone; as for [`Lowering`].
    #[inline(always)]
    pub(super) unsafe fn expand<V: Vector<Number = T>>(
        &self,
        own: &mut Own<'_, T>,
        rows: &Rows,
        [expanded, gradients]: [Stack<'_, T>; 2],
    ) {
        for (image, range) in by_image(rows.range.clone(), self.lowering.rows()) {
            let rows = Rows { range, first: rows.first };
            // SAFETY: the caller's promise.
            unsafe {
                let (input, gradient) = (own.input.origin(image), own.gradient.origin(image));
                self.lowering.expand_input::<V>(input, rows.clone(), expanded, own.scratch);
                self.lowering.expand_gradient::<V>(gradient, rows, gradients);
            }
        }
    }

    /// Adds the input's products to its gradient, which begins with zeros, and tells of images that are complete.
    ///
    /// # Safety
    /// The rows' images are the caller's alone; as for [`Lowering`].
    #[inline(always)]
    pub(super) unsafe fn add_to_input<V: Vector<Number = T>>(
        &self,
        products: Stack<'_, T>,
        rows: Rows,
    ) {
        let (of_image, count) = (self.lowering.rows(), self.lowering.shape().input_numbers());
        for (image, range) in by_image(rows.range, of_image) {
            let (start, end) = (range.start, range.end);
            let numbers = self.tensors.to_input.wrapping_add(image * count);
            // SAFETY: the image is one of the gradient's; the caller's promise.
            unsafe {
                if start == image * of_image {
                    numbers.write_bytes(0, count);
                }
                let rows = Rows { range, first: rows.first };
                self.lowering.add_to_input::<V>(products, rows, self.tensors.to_input);
                if end == (image + 1) * of_image {
                    (self.tensors.observer)(image, std::slice::from_raw_parts(numbers, count));
                }
            }
        }
    }
}
