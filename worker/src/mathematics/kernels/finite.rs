//! Whether numbers are finite.

use super::Float;

/// Whether none is NaN or infinite.
#[inline(always)]
pub(super) fn all_finite<T: Float>(numbers: &[T]) -> bool {
    // Zero times anything else is NaN. Without a way out, so that it vectorises.
    numbers.iter().fold(true, |finite, number| finite & (*number * T::ZERO == T::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_is_enough() {
        let numbers = [0.0, -0.0, f32::MAX, f32::MIN_POSITIVE / 4.0, -1.0];
        assert!(all_finite(&numbers) && all_finite::<f64>(&[]));
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in 0..100 {
                let mut numbers = numbers.repeat(20);
                numbers[place] = wrong;
                assert!(!all_finite(&numbers), "{wrong} at {place}");
            }
        }
    }
}
