//! The two precisions that the network computes in.

use crate::bridge::slices::Element;

/// A number the network computes in.
pub trait Float:
    Element
    + Send
    + Sync
    + PartialOrd
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + 'static
{
    /// 0.
    const ZERO: Self;
    /// The nearest number of this precision.
    fn from_f64(value: f64) -> Self;
    /// The same number in 64 bits.
    fn to_f64(self) -> f64;
    /// √, correctly rounded.
    fn sqrt(self) -> Self;
}

macro_rules! float {
    ($($number:ty),*) => {$(
        impl Float for $number {
            const ZERO: Self = 0.0;

            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as Self
            }

            #[inline(always)]
            #[allow(clippy::unnecessary_cast, reason = "necessary for the other type")]
            fn to_f64(self) -> f64 {
                self as f64
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }
        }
    )*};
}

float!(f32, f64);
