//! A layer's kernel as the passes take it.

use super::instructions::Task;
use super::lowering::Lowering;
use super::memory::{Extent, Stack, pieces};
use super::number::{Line, Number};
use super::share::share;
use super::threads::Engine;
use super::vector::Vector;

/// What a kernel is lowered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The pass from input to output.
    Forward,
    /// That, and the way back to the input's gradient.
    Training,
}

/// A kernel in the form that the passes multiply by. It is made once for all shards that use it, and its memory is used
/// again when it is made anew.
#[derive(Debug, Default)]
pub struct Lowered {
    lines: Vec<Line>,
    /// What it is made of, one after the other: the kernel, and the transposed one.
    extents: [Option<Extent>; 2],
    /// Numbers of a line.
    line: usize,
}

impl Lowered {
    /// The kernel.
    pub(super) fn forward<T: Number, L: Lowering<T>>(&self, lowering: &L) -> Stack<'_, T> {
        self.stack(0, forward_extent(lowering))
    }

    /// The transposed one.
    pub(super) fn backward<T: Number, L: Lowering<T>>(&self, lowering: &L) -> Stack<'_, T> {
        self.stack(1, backward_extent(lowering))
    }

    fn stack<T: Number>(&self, index: usize, extent: Extent) -> Stack<'_, T> {
        assert!(
            self.extents[index] == Some(extent) && self.line == T::LINE,
            "the kernel was not lowered for this pass of this layer"
        );
        let before = self.extents[..index].iter().flatten();
        let from = before.map(|extent| extent.lines::<T>()).sum();
        extent.within(&self.lines[from..from + extent.lines::<T>()])
    }
}

fn forward_extent<T: Number, L: Lowering<T>>(lowering: &L) -> Extent {
    Extent { points: lowering.points(), rows: lowering.inner(), columns: lowering.outputs() }
}

fn backward_extent<T: Number, L: Lowering<T>>(lowering: &L) -> Extent {
    Extent { points: lowering.points(), rows: lowering.outputs(), columns: lowering.inner() }
}

/// Lowers a kernel.
///
/// # Safety
/// The kernel is the layer's.
pub(super) unsafe fn prepare<T: Number, L: Lowering<T>>(
    engine: Engine<'_>,
    lowering: &L,
    kernel: *const T,
    purpose: Purpose,
    lowered: &mut Lowered,
) {
    let extents = [forward_extent(lowering), backward_extent(lowering)];
    (lowered.extents, lowered.line) = (extents.map(Some), T::LINE);
    if purpose == Purpose::Forward {
        lowered.extents[1] = None;
    }
    let sizes = lowered.extents.map(|extent| extent.map_or(0, Extent::lines::<T>));
    let [forward, backward] = pieces(&mut lowered.lines, sizes);
    let forward = extents[0].at(forward);
    let backward = lowered.extents[1].map(|extent| extent.at(backward));
    let parts = engine.threads();
    let task = Prepare { lowering, kernel, forward, backward, parts };
    // SAFETY: each part writes columns and rows of outputs of its own.
    unsafe { engine.run(parts, &task) };
}

struct Prepare<'a, T, L> {
    lowering: &'a L,
    kernel: *const T,
    forward: Stack<'a, T>,
    backward: Option<Stack<'a, T>>,
    parts: usize,
}

// SAFETY: the kernel is read alone, and the stacks written as `prepare` says.
unsafe impl<T: Sync, L: Sync> Sync for Prepare<'_, T, L> {}

impl<T: Number, L: Lowering<T>> Task<T> for Prepare<'_, T, L> {
    #[inline(always)]
    unsafe fn run<V: Vector<Number = T>>(&self, part: usize) {
        let outputs = self.lowering.outputs();
        for line in share(outputs.div_ceil(T::LINE), part, self.parts) {
            let outputs = line * T::LINE..outputs.min((line + 1) * T::LINE);
            // SAFETY: the caller's promise.
            unsafe {
                self.lowering.lower_kernel::<V>(self.kernel, outputs.clone(), self.forward);
                if let Some(backward) = self.backward {
                    self.lowering.lower_kernel_transposed::<V>(self.kernel, outputs, backward);
                }
            }
        }
        V::end_stream();
    }
}
