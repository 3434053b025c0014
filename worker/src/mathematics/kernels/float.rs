//! The two precisions that the network computes in.

use engine::Number;

use crate::bridge::slices::Element;

/// A number the network computes in.
pub trait Float:
    Element
    + Number
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
            fn sqrt(self) -> Self {
                self.sqrt()
            }
        }
    )*};
}

float!(f32, f64);
