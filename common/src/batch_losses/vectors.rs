//! Sums over vectors, in index order and 64 bits. Called by the losses beside it.

/// Σ a·b.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// ‖a − b‖².
pub fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// `sum ← sum + factor·vector`.
pub fn add_scaled(sum: &mut [f64], factor: f64, vector: &[f64]) {
    sum.iter_mut().zip(vector).for_each(|(sum, number)| *sum += factor * number);
}

/// `sum ← sum + factor·(a − b)`.
pub fn add_difference(sum: &mut [f64], factor: f64, a: &[f64], b: &[f64]) {
    sum.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += factor * (a - b));
}
