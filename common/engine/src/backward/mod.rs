//! The pass from the output's gradient to those of input and kernel.
//!
//! The kernel's gradient is a sum over rows, which a function of the layer and the number of images cuts into *groups* of
//! whole images, and these into blocks. The products of a block are summed up by themselves, the sums of a group's blocks
//! are added in order, and those of the groups are: whichever thread computes them.
//!
//! - `by_group`: a thread computes both gradients for groups of its own, and waits for no other;
//! - `by_point`: threads share the one group that there is, where images are few and kernels large;
//! - `pass`: what both have in common;
//! - `contract`: the sums become the kernel's gradient.

mod by_group;
mod by_point;
mod contract;
mod pass;

use super::images::{Images, Observer};
use super::lowering::Lowering;
use super::memory::{Extent, Workspace, lines_of};
use super::number::Number;
use super::prepare::Lowered;
use super::threads::Engine;
use pass::{Crews, Pass};

/// The most groups, which is also the most threads that can compute without waiting for each other.
const GROUPS: usize = 4;

/// The tensors of a pass, of one image or more.
#[derive(Clone, Copy)]
pub struct Tensors<'a, T> {
    /// Of the output.
    pub(super) gradient: &'a dyn Images<T>,
    pub(super) input: &'a dyn Images<T>,
    /// The kernel, if the input's gradient is wanted.
    pub(super) lowered: Option<&'a Lowered>,
    /// The input's gradient.
    pub(super) to_input: *mut T,
    /// Of the input's gradient.
    pub(super) observer: Observer<'a, T>,
    pub(super) to_kernel: *mut T,
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
    let images = tensors.input.count();
    let (groups, threads) = (groups(lowering, images), engine.threads());
    let crews = Crews::of(threads, groups);
    let rows = (lowering.block() * crews.members).min(images * lowering.rows());
    let outputs = lowering.outputs().next_multiple_of(T::LINE);
    let expanded = Extent { points: lowering.points(), rows, columns: lowering.inner() };
    let gradients = Extent { columns: outputs, ..expanded };
    let sums = Extent { rows: outputs, ..expanded };
    let shape = lowering.shape();
    let rooms = [shape.input_numbers(), shape.output_numbers(), lowering.scratch()]
        .map(|numbers| threads * lines_of::<T>(numbers));
    let [of_input, of_gradient, of_sums, input_rooms, gradient_rooms, scratch] =
        workspace.pieces([
            crews.count * expanded.lines::<T>(),
            crews.count * gradients.lines::<T>(),
            groups * sums.lines::<T>(),
            rooms[0],
            rooms[1],
            rooms[2],
        ]);
    let pass = Pass {
        lowering,
        tensors,
        lowered: tensors.lowered.map(|lowered| lowered.backward(lowering)),
        expanded: (expanded, of_input),
        gradients: (gradients, of_gradient),
        sums: (sums, of_sums),
        rooms: [input_rooms, gradient_rooms],
        scratch,
        groups,
        crews: crews.count,
        threads,
    };
    // SAFETY: the caller's promise.
    unsafe {
        if crews.members == 1 {
            by_group::run(engine, &pass);
        } else {
            by_point::run(engine, &pass);
        }
        contract::run(engine, &pass);
    }
}

/// Into how many groups images are cut: a power of two, each of about a block or more.
fn groups<T: Number, L: Lowering<T>>(lowering: &L, images: usize) -> usize {
    let most = (images * lowering.rows() / lowering.block()).min(images).clamp(1, GROUPS);
    1 << most.ilog2()
}
