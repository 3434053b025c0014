//! Vectors of one number, for processors without vectors that the engine knows. `mul_add` is one instruction where the
//! code around it is compiled for one, and otherwise a function that is correct and slow.

use super::vector::Vector;

macro_rules! plain {
    ($name:ident, $number:ty) => {
        #[doc = concat!("One ", stringify!($number), ".")]
        #[derive(Clone, Copy)]
        pub struct $name($number);

        impl Vector for $name {
            type Number = $number;
            const LANES: usize = 1;
            const REGISTERS: usize = 16;

            #[inline(always)]
            unsafe fn splat(value: $number) -> Self {
                Self(value)
            }

            #[inline(always)]
            unsafe fn load(from: *const $number) -> Self {
                // SAFETY: the caller's promise.
                Self(unsafe { *from })
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut $number) {
                // SAFETY: the caller's promise.
                unsafe { *to = self.0 };
            }

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }

            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }

            #[inline(always)]
            fn mul(self, factor: Self) -> Self {
                Self(self.0 * factor.0)
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, summand: Self) -> Self {
                Self(self.0.mul_add(factor.0, summand.0))
            }
        }
    };
}

plain!(PlainF32, f32);
plain!(PlainF64, f64);
