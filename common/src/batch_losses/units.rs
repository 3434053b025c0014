//! Vectors divided by their Euclidean norm, and the gradient through that division. Called by the losses that compare
//! directions.
//!
//! The zero vector, and one whose squared norm underflows to 0 (norm below 10⁻¹⁶²), has no direction: its unit vector
//! is zero and its gradient too. (PyTorch's `normalize` divides by 10⁻¹² there and passes gradients times 10¹².)
//! A squared norm that overflows (norm above 10¹⁵⁴) gives NaN.

use super::vectors::{add_scaled, dot};

/// The rows of a matrix as unit vectors.
#[derive(Clone, Debug)]
pub struct Units {
    units: Vec<f64>,
    inverse_norms: Vec<f64>,
    dim: usize,
}

impl Units {
    /// The rows of `vectors`, `[rows, dim]`, divided by their norms.
    pub fn new(vectors: &[f64], dim: usize) -> Self {
        let inverse_norms: Vec<f64> = vectors.chunks_exact(dim).map(inverse_norm).collect();
        let units = vectors.chunks_exact(dim).zip(&inverse_norms);
        let units = units.flat_map(|(row, inverse)| row.iter().map(move |x| x * inverse)).collect();
        Self { units, inverse_norms, dim }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.inverse_norms.len()
    }

    /// The unit vector of a row, `[dim]`.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.units[row * self.dim..(row + 1) * self.dim]
    }

    /// ∂/∂vectors, `[rows, dim]`, of what has the gradient g = `to_units` with respect to the unit vectors u = x/‖x‖:
    /// (g − (g·u)u)/‖x‖.
    pub fn gradient(&self, mut to_units: Vec<f64>) -> Vec<f64> {
        for (row, gradient) in to_units.chunks_exact_mut(self.dim).enumerate() {
            let along = dot(gradient, self.row(row));
            add_scaled(gradient, -along, self.row(row));
            gradient.iter_mut().for_each(|g| *g *= self.inverse_norms[row]);
        }
        to_units
    }
}

fn inverse_norm(vector: &[f64]) -> f64 {
    let squares = dot(vector, vector);
    match squares {
        0.0 => 0.0,
        f64::INFINITY => f64::NAN,
        _ => 1.0 / squares.sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_keeps_its_direction_and_zero_has_none() {
        let units = Units::new(&[3.0, -4.0, 0.0, 0.0, 1e-170, 0.0, 1e200, 0.0], 2);
        assert_eq!(units.row(0), [3.0 * (1.0 / 5.0), -4.0 * (1.0 / 5.0)]);
        assert_eq!(units.row(1), [0.0, 0.0]);
        assert_eq!(units.row(2), [0.0, 0.0]);
        assert!(units.row(3)[0].is_nan());
    }

    #[test]
    fn the_gradient_is_across_the_vector() {
        let gradient = Units::new(&[0.0, 2.0, 0.0, 0.0], 2).gradient(vec![3.0, 7.0, 1.0, 1.0]);
        assert_eq!(gradient, [1.5, 0.0, 0.0, 0.0]);
    }
}
