//! The transforms of kernels, and the scheme as a way to lower a convolution.

#![expect(
    clippy::needless_range_loop,
    reason = "rows and columns are counted alike, whichever array they index"
)]

use std::ops::Range;

use super::super::lowering::{Lowering, Rows};
use super::super::memory::Stack;
use super::super::number::{Line, Number};
use super::super::shape::Shape;
use super::super::vector::Vector;
use super::Winograd;
use super::plane::in_two_dimensions;
use super::scheme::Scheme;

/// Numbers of a tile's points in float32 that are expanded at a time, about half of what a core's own cache holds.
const STRIP: usize = 3 << 15;
/// The largest kernel's places.
const TAPS: usize = 25;

impl<S: Scheme<N, M, R>, T: Number, const N: usize, const M: usize, const R: usize> Lowering<T>
    for Winograd<S, N, M, R>
{
    fn points(&self) -> usize {
        N * N
    }

    fn rows(&self) -> usize {
        self.down * self.across
    }

    fn inner(&self) -> usize {
        self.shape.inputs
    }

    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn block(&self) -> usize {
        let numbers = self.shape.inputs + self.shape.outputs;
        (numbers / 2).next_multiple_of(32).clamp(32, 128)
    }

    fn strip(&self) -> usize {
        let numbers = N * N * (self.shape.inputs + self.shape.outputs);
        (STRIP / numbers).next_multiple_of(12).clamp(24, 96)
    }

    fn scratch(&self) -> usize {
        0
    }

    #[inline(always)]
    unsafe fn expand_input<V: Vector<Number = T>>(
        &self,
        input: *const T,
        rows: Rows,
        expanded: Stack<'_, T>,
        _: *mut T,
    ) {
        // SAFETY: the caller's promise.
        unsafe { self.transform_inputs::<V>(input, rows, expanded) };
    }

    #[inline(always)]
    unsafe fn expand_gradient<V: Vector<Number = T>>(
        &self,
        gradient: *const T,
        rows: Rows,
        expanded: Stack<'_, T>,
    ) {
        // SAFETY: the caller's promise.
        unsafe { self.transform_gradients::<V>(gradient, rows, expanded) };
    }

    #[inline(always)]
    unsafe fn contract_output<V: Vector<Number = T>>(
        &self,
        products: Stack<'_, T>,
        rows: Rows,
        output: *mut T,
    ) {
        // SAFETY: the caller's promise.
        unsafe { self.transform_outputs::<V>(products, rows, output) };
    }

    #[inline(always)]
    unsafe fn add_to_input<V: Vector<Number = T>>(
        &self,
        products: Stack<'_, T>,
        rows: Rows,
        to_input: *mut T,
    ) {
        // SAFETY: the caller's promise.
        unsafe { self.add_to_inputs::<V>(products, rows, to_input) };
    }

    #[inline(always)]
    unsafe fn lower_kernel<V: Vector<Number = T>>(
        &self,
        kernel: *const T,
        outputs: Range<usize>,
        lowered: Stack<'_, T>,
    ) {
        let inputs = self.shape.inputs;
        // The kernel's numbers of a line of outputs and as many inputs: `[tap, input, output]`.
        let mut turned = [[Line::ZERO; 16]; TAPS];
        let numbers = turned.as_mut_ptr().cast::<T>();
        let place = |tap: usize, input: usize| numbers.wrapping_add((tap * 16 + input) * T::LINE);
        for first in (0..inputs).step_by(T::LINE) {
            let count = T::LINE.min(inputs - first);
            // SAFETY: taps, inputs and outputs are those of the kernel, for a line of which there is room.
            unsafe {
                for (lane, output) in outputs.clone().enumerate() {
                    for tap in 0..R * R {
                        let from = kernel.add((output * R * R + tap) * inputs + first);
                        for input in 0..count {
                            *place(tap, input).add(lane) = *from.add(input);
                        }
                    }
                }
                for input in 0..count {
                    for lane in (0..T::LINE).step_by(V::LANES) {
                        let mut taps = [[V::splat(T::default()); R]; R];
                        for row in 0..R {
                            for column in 0..R {
                                let place = place(row * R + column, input);
                                taps[row][column] = V::load(place.add(lane));
                            }
                        }
                        let to = lowered.from(first + input, outputs.start + lane);
                        transform::<V, S, N, M, R>(taps, to);
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn lower_kernel_transposed<V: Vector<Number = T>>(
        &self,
        kernel: *const T,
        outputs: Range<usize>,
        lowered: Stack<'_, T>,
    ) {
        let inputs = self.shape.inputs;
        for output in outputs {
            for input in (0..inputs).step_by(V::LANES) {
                let lanes = V::LANES.min(inputs - input);
                let from = kernel.wrapping_add(output * R * R * inputs + input);
                let to = lowered.from(output, input);
                // SAFETY: taps, inputs and outputs are those of the kernel.
                unsafe {
                    let mut taps = [[V::splat(T::default()); R]; R];
                    for row in 0..R {
                        for column in 0..R {
                            let from = from.add((row * R + column) * inputs);
                            taps[row][column] = load_some::<V>(from, lanes);
                        }
                    }
                    transform::<V, S, N, M, R>(taps, to);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn contract_kernel<V: Vector<Number = T>>(
        &self,
        products: Stack<'_, T>,
        outputs: Range<usize>,
        to_kernel: *mut T,
    ) {
        let inputs = self.shape.inputs;
        for output in outputs {
            for input in (0..inputs).step_by(V::LANES) {
                let lanes = V::LANES.min(inputs - input);
                let from = products.from(output, input);
                let to = to_kernel.wrapping_add(output * R * R * inputs + input);
                // SAFETY: taps, inputs and outputs are those of the kernel.
                unsafe {
                    in_two_dimensions(
                        V::splat(T::default()),
                        (&(0..N), &(0..R)),
                        #[inline(always)]
                        |row, column| V::load(from.start(row * N + column)),
                        #[inline(always)]
                        |line| S::kernel_adjoint(line),
                        #[inline(always)]
                        |row, column, tap: V| {
                            store_some(tap, to.add((row * R + column) * inputs), lanes);
                        },
                    );
                }
            }
        }
    }
}

/// `G·g·Gᵀ` of a vector of kernels. What it becomes is larger than the nearest caches together, and not needed at once.
#[inline(always)]
unsafe fn transform<V, S, const N: usize, const M: usize, const R: usize>(
    taps: [[V; R]; R],
    to: Stack<'_, V::Number>,
) where
    V: Vector,
    S: Scheme<N, M, R>,
{
    // SAFETY: the caller's promise.
    unsafe {
        in_two_dimensions(
            V::splat(V::Number::default()),
            (&(0..R), &(0..N)),
            #[inline(always)]
            |row, column| taps[row][column],
            #[inline(always)]
            |line| S::kernel(line),
            #[inline(always)]
            |row, column, point: V| point.stream(to.start(row * N + column)),
        );
    }
}

/// The first numbers of a vector, and zeros.
#[inline(always)]
unsafe fn load_some<V: Vector>(from: *const V::Number, lanes: usize) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        if lanes == V::LANES {
            return V::load(from);
        }
        let mut line = Line::ZERO;
        let whole = (&raw mut line).cast::<V::Number>();
        for lane in 0..lanes {
            *whole.add(lane) = *from.add(lane);
        }
        V::load(whole)
    }
}

/// Stores the first numbers of a vector.
#[inline(always)]
unsafe fn store_some<V: Vector>(vector: V, to: *mut V::Number, lanes: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if lanes == V::LANES {
            return vector.store(to);
        }
        let mut line = Line::ZERO;
        let whole = (&raw mut line).cast::<V::Number>();
        vector.store(whole);
        for lane in 0..lanes {
            *to.add(lane) = *whole.add(lane);
        }
    }
}
