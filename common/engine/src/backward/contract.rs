//! The sums of the groups become the kernel's gradient.

use std::ops::Range;

use super::super::instructions::Task;
use super::super::lowering::Lowering;
use super::super::number::Number;
use super::super::share::share;
use super::super::threads::Engine;
use super::super::vector::Vector;
use super::pass::Pass;

/// Computes the kernel's gradient.
///
/// # Safety
/// The gradient is the layer's.
pub(super) unsafe fn run<T: Number, L: Lowering<T>>(engine: Engine<'_>, pass: &Pass<'_, T, L>) {
    // SAFETY: each part writes the sums and gradients of outputs of its own.
    unsafe { engine.run(pass.threads, &Contract(pass)) };
}

struct Contract<'a, T, L>(&'a Pass<'a, T, L>);

impl<T: Number, L: Lowering<T>> Task<T> for Contract<'_, T, L> {
    #[inline(always)]
    unsafe fn run<V: Vector<Number = T>>(&self, part: usize) {
        let Self(pass) = self;
        let outputs = share(pass.lowering.outputs(), part, pass.threads);
        // SAFETY: the caller's promise.
        unsafe {
            add_up::<T, L, V>(pass, outputs.clone());
            pass.lowering.contract_kernel::<V>(pass.sums(0), outputs, pass.tensors.to_kernel);
        }
    }
}

/// Adds the groups' sums to the first one's, in order.
#[inline(always)]
unsafe fn add_up<T: Number, L: Lowering<T>, V: Vector<Number = T>>(
    pass: &Pass<'_, T, L>,
    outputs: Range<usize>,
) {
    let lines = pass.lowering.inner().div_ceil(T::LINE);
    for group in 1..pass.groups {
        let [sums, added] = [pass.sums(0), pass.sums(group)];
        for (point, column) in (0..pass.lowering.points())
            .flat_map(|point| (0..lines).map(move |line| (point, line * T::LINE)))
        {
            let from = added.matrix(point).place(outputs.start, column);
            let to = sums.matrix(point).place(outputs.start, column);
            // The lines of neighbouring outputs are neighbours.
            for number in (0..outputs.len() * T::LINE).step_by(V::LANES) {
                // SAFETY: the caller's promise.
                unsafe {
                    let sum = V::load(to.add(number)).add(V::load(from.add(number)));
                    sum.store(to.add(number));
                }
            }
        }
    }
}
