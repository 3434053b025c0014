//! The numbers that the engine computes with, and the lines of memory that hold them.

use std::fmt::Debug;
use std::ops::Add;

use super::method::Passes;
use super::plain::{PlainF32, PlainF64};
use super::vector::Vector;
#[cfg(target_arch = "x86_64")]
use super::x86::{Avx2F32, Avx2F64, Avx512F32, Avx512F64};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// f32 or f64.
pub trait Number:
    sealed::Sealed
    + Passes
    + Copy
    + Default
    + Debug
    + PartialEq
    + Add<Output = Self>
    + Send
    + Sync
    + 'static
{
    /// Numbers of 64 bytes.
    const LINE: usize;
    /// One number at a time.
    #[doc(hidden)]
    type Plain: Vector<Number = Self>;
    /// 32 bytes at a time.
    #[cfg(target_arch = "x86_64")]
    #[doc(hidden)]
    type Avx2: Vector<Number = Self>;
    /// 64 bytes at a time.
    #[cfg(target_arch = "x86_64")]
    #[doc(hidden)]
    type Avx512: Vector<Number = Self>;

    /// The nearest number.
    fn of(value: f64) -> Self;
    /// The same number in 64 bits.
    fn to_f64(self) -> f64;
}

impl Number for f32 {
    const LINE: usize = 16;
    type Plain = PlainF32;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = Avx2F32;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = Avx512F32;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as Self
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Number for f64 {
    const LINE: usize = 8;
    type Plain = PlainF64;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = Avx2F64;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = Avx512F64;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
}

/// 64 bytes that begin where a line of the processor's caches does: what memory of the engine's own is made of. No vector
/// is wider.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Line([u8; 64]);

impl Line {
    /// Zeros, of either kind of number.
    pub(super) const ZERO: Self = Self([0; 64]);
}
