//! The two precisions that the network computes in.

use engine::Number;

use super::digest::Word;
use crate::bridge::slices::Element;

/// A number the network computes in.
pub trait Float:
    Element
    + Number
    + Word
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
    /// √, correctly rounded.
    fn sqrt(self) -> Self;
}

macro_rules! float {
    ($($number:ty),*) => {$(
        impl Float for $number {
            const ZERO: Self = 0.0;

            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }
        }
    )*};
}

float!(f32, f64);

/// The same numbers in 64 bits.
pub fn in_64_bits<T: Float>(numbers: &[T]) -> Vec<f64> {
    numbers.iter().map(|number| number.to_f64()).collect()
}

/// The nearest numbers of a precision.
pub fn rounded<T: Float>(numbers: &[f64]) -> Vec<T> {
    numbers.iter().map(|number| T::of(*number)).collect()
}
