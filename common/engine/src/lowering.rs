//! How a convolution becomes products of matrices. There are two ways, [`Direct`](super::direct::Direct) and
//! [`Winograd`](super::winograd::Winograd); the passes are written once for both.
//!
//! The *rows* of a matrix are pieces of the images, in the order of image, row and column: positions of the output, or
//! tiles of them. With V the expanded input, U the lowered kernel, M the products and dY, dX, dW the gradients of output,
//! input and kernel, for each of the *points*:
//!
//! ```text
//! forward    V = expand(X)       M = V·U          Y = contract(M)
//! backward   dM = expandᵀ(dY)    dU = Vᵀ·dM       dW = contract(dU)
//!                                dV = dM·Uᵀ       dX = expandᵀ(dV), which adds
//! ```
//!
//! dU is computed the other way round, `[outputs, inner]`, so that vectors run along a kernel's numbers in memory.

use std::ops::Range;

use super::memory::Stack;
use super::number::Number;
use super::shape::Shape;
use super::vector::Vector;

/// Neighbouring rows of a shard, held by a stack from its own first row on.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    /// Of the shard.
    pub range: Range<usize>,
    /// The one that is the stack's first.
    pub first: usize,
}

/// A way to lower a layer.
///
/// The functions are unsafe, each for the same reasons: slices of tensors are given as places, since several threads
/// write to parts of one; they have the size of the layer's tensors, and stacks the size that the functions here tell. The
/// processor has the instructions of `V`.
pub(super) trait Lowering<T: Number>: Sync {
    /// Products that are computed independently of each other.
    fn points(&self) -> usize;

    /// Rows of an image.
    fn rows(&self) -> usize;

    /// Columns of the expanded input: products of a sum.
    fn inner(&self) -> usize;

    /// The layer's.
    fn shape(&self) -> &Shape;

    /// Channels of the output.
    fn outputs(&self) -> usize {
        self.shape().outputs
    }

    /// Rows whose products are summed up before they are added to those of the rows before: a constant of the layer.
    fn block(&self) -> usize;

    /// Rows that are best expanded at a time.
    fn strip(&self) -> usize;

    /// Numbers of memory that `expand_input` needs.
    fn scratch(&self) -> usize;

    /// V, of rows of one image.
    unsafe fn expand_input<V: Vector<Number = T>>(
        &self,
        input: *const T,
        rows: Rows,
        expanded: Stack<'_, T>,
        scratch: *mut T,
    );

    /// dM.
    unsafe fn expand_gradient<V: Vector<Number = T>>(
        &self,
        gradient: *const T,
        rows: Rows,
        expanded: Stack<'_, T>,
    );

    /// Y.
    unsafe fn contract_output<V: Vector<Number = T>>(
        &self,
        products: Stack<'_, T>,
        rows: Rows,
        output: *mut T,
    );

    /// Adds to dX.
    unsafe fn add_to_input<V: Vector<Number = T>>(
        &self,
        products: Stack<'_, T>,
        rows: Rows,
        to_input: *mut T,
    );

    /// U, `[inner, outputs]`: the columns of some outputs, which begin a line. It may be streamed, as Uᵀ may.
    unsafe fn lower_kernel<V: Vector<Number = T>>(
        &self,
        kernel: *const T,
        outputs: Range<usize>,
        lowered: Stack<'_, T>,
    );

    /// Uᵀ, `[outputs, inner]`: the rows of some outputs.
    unsafe fn lower_kernel_transposed<V: Vector<Number = T>>(
        &self,
        kernel: *const T,
        outputs: Range<usize>,
        lowered: Stack<'_, T>,
    );

    /// dW of some outputs, of dUᵀ.
    unsafe fn contract_kernel<V: Vector<Number = T>>(
        &self,
        products: Stack<'_, T>,
        outputs: Range<usize>,
        to_kernel: *mut T,
    );
}
