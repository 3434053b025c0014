//! A vector register's arithmetic, which all kernels are written in. An operation on vectors is the operation on each of
//! their numbers, correctly rounded: how many a vector holds changes speed and no bit.

use super::number::Number;

/// Numbers that are computed with side by side.
///
/// A vector is made by [`load`](Self::load) or [`splat`](Self::splat) alone, which are for code that runs under the
/// instruction set of the type; the operations need no further promise, since there is a vector.
pub trait Vector: Copy {
    /// What it holds.
    type Number: Number;
    /// How many: a line's numbers, or so many that divide them.
    const LANES: usize;
    /// Vectors that the processor has registers for.
    const REGISTERS: usize;

    /// A number in each lane.
    ///
    /// # Safety
    /// The processor has the type's instructions.
    unsafe fn splat(value: Self::Number) -> Self;

    /// The numbers at `from`, at any address.
    ///
    /// # Safety
    /// `LANES` numbers can be read there, and the processor has the type's instructions.
    unsafe fn load(from: *const Self::Number) -> Self;

    /// Writes the numbers to `to`, at any address.
    ///
    /// # Safety
    /// `LANES` numbers can be written there.
    unsafe fn store(self, to: *mut Self::Number);

    /// As [`store`](Self::store), past the caches where the processor can: for much that is not read soon.
    ///
    /// # Safety
    /// As for `store`, and the address is a multiple of the vector's size. Nobody reads what was streamed, and nothing else
    /// tells that it is there, before [`end_stream`](Self::end_stream).
    #[inline(always)]
    unsafe fn stream(self, to: *mut Self::Number) {
        // SAFETY: the caller's promise.
        unsafe { self.store(to) }
    }

    /// Orders what this thread has streamed before everything that follows.
    #[inline(always)]
    fn end_stream() {}

    /// `self + other`.
    fn add(self, other: Self) -> Self;

    /// `self − other`.
    fn sub(self, other: Self) -> Self;

    /// `self · factor`.
    fn mul(self, factor: Self) -> Self;

    /// `self · factor + summand`, rounded once.
    fn mul_add(self, factor: Self, summand: Self) -> Self;

    /// The number nearest to `value` in each lane.
    #[inline(always)]
    fn constant(self, value: f64) -> Self {
        // SAFETY: there is a vector of the type, so the processor has its instructions.
        unsafe { Self::splat(Self::Number::of(value)) }
    }

    /// `self · value`.
    #[inline(always)]
    fn times(self, value: f64) -> Self {
        self.mul(self.constant(value))
    }

    /// `self · value + summand`, rounded once.
    #[inline(always)]
    fn times_add(self, value: f64, summand: Self) -> Self {
        self.mul_add(self.constant(value), summand)
    }
}
