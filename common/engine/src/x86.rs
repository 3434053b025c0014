//! Vectors of x86-64: AVX2 with FMA, and AVX-512.
//!
//! Every function is inlined into one that is compiled for the instructions
//! ([`Instructions::run`](super::instructions::Instructions)); otherwise each would be a call.

use std::arch::x86_64::*;

use super::vector::Vector;

macro_rules! vector {
    ($name:ident, $raw:ident, $number:ty, $lanes:literal, $registers:literal,
     $splat:ident, $load:ident, $store:ident, $stream:ident, $add:ident, $sub:ident, $mul:ident, $mul_add:ident) => {
        #[doc = concat!(stringify!($lanes), " numbers of ", stringify!($number), ".")]
        #[derive(Clone, Copy)]
        pub struct $name($raw);

        impl Vector for $name {
            type Number = $number;
            const LANES: usize = $lanes;
            const REGISTERS: usize = $registers;

            #[inline(always)]
            unsafe fn splat(value: $number) -> Self {
                // SAFETY: the caller's promise.
                Self(unsafe { $splat(value) })
            }

            #[inline(always)]
            unsafe fn load(from: *const $number) -> Self {
                // SAFETY: the caller's promise.
                Self(unsafe { $load(from) })
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut $number) {
                // SAFETY: the caller's promise, and that of whoever made the vector.
                unsafe { $store(to, self.0) };
            }

            #[inline(always)]
            unsafe fn stream(self, to: *mut $number) {
                // SAFETY: as for `store`, and the address is aligned.
                unsafe { $stream(to, self.0) };
            }

            #[inline(always)]
            fn end_stream() {
                // SAFETY: every x86-64 processor has the instruction.
                unsafe { _mm_sfence() };
            }

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                // SAFETY: whoever made the vectors promised that the processor has the instruction.
                Self(unsafe { $add(self.0, other.0) })
            }

            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                // SAFETY: as in `add`.
                Self(unsafe { $sub(self.0, other.0) })
            }

            #[inline(always)]
            fn mul(self, factor: Self) -> Self {
                // SAFETY: as in `add`.
                Self(unsafe { $mul(self.0, factor.0) })
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, summand: Self) -> Self {
                // SAFETY: as in `add`.
                Self(unsafe { $mul_add(self.0, factor.0, summand.0) })
            }
        }
    };
}

vector!(
    Avx2F32,
    __m256,
    f32,
    8,
    16,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_stream_ps,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_mul_ps,
    _mm256_fmadd_ps
);
vector!(
    Avx2F64,
    __m256d,
    f64,
    4,
    16,
    _mm256_set1_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_stream_pd,
    _mm256_add_pd,
    _mm256_sub_pd,
    _mm256_mul_pd,
    _mm256_fmadd_pd
);
vector!(
    Avx512F32,
    __m512,
    f32,
    16,
    32,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_stream_ps,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_mul_ps,
    _mm512_fmadd_ps
);
vector!(
    Avx512F64,
    __m512d,
    f64,
    8,
    32,
    _mm512_set1_pd,
    _mm512_loadu_pd,
    _mm512_storeu_pd,
    _mm512_stream_pd,
    _mm512_add_pd,
    _mm512_sub_pd,
    _mm512_mul_pd,
    _mm512_fmadd_pd
);
