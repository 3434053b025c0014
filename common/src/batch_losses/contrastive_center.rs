//! Contrastive-center loss (Qi & Su, "Contrastive-Center Loss for Deep Neural Networks", ICIP 2017, its L_ct-c): near
//! its own center, far from the others.
//!
//! With a_i = ‖f_i − c_{y_i}‖² and b_i = Σ_{j≠y_i} ‖f_i − c_j‖² + δ: `L = (1/B)·Σ_i ½·a_i/b_i`. (The paper sums; this
//! is the mean over the batch.) Gradients, each times 1/B: to f_i `(f_i − c_y)/b − (a/b²)·Σ_{j≠y}(f_i − c_j)`, to c_y
//! `−(f_i − c_y)/b`, to the other c_j `(a/b²)·(f_i − c_j)`. Called through the table; never moves a center.

use super::criterion::{Batch, BatchLoss, Criterion, Own};
use super::vectors::{add_difference, squared_distance};

/// The contrastive-center loss. Its own parameters are the centers, `[C, d]`.
///
/// Every sample takes part. With one class the sum over the others is empty and b = δ. A sample on its own center has
/// loss 0 and gradient 0; one on all centers too, as δ > 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ContrastiveCenter {
    /// δ, which keeps the denominator from 0; above 0, in units of squared distance.
    pub delta: f64,
}

impl Criterion for ContrastiveCenter {
    fn own(&self) -> Own {
        Own::Centers
    }

    fn evaluate_finite(&self, batch: &Batch<'_>, own: &[f64]) -> BatchLoss {
        let mut result = BatchLoss::zero(batch, own);
        result.anchors = batch.samples();
        let size = batch.samples() as f64;
        for sample in 0..batch.samples() {
            let feature = batch.feature(sample);
            let (near, far) = self.distances(batch, own, sample);
            result.loss += 0.5 * near / far;
            let range = sample * batch.dim()..(sample + 1) * batch.dim();
            let gradient = &mut result.to_features[range];
            let (pull, push) = (1.0 / far / size, near / far / far / size);
            let centers = own.chunks_exact(batch.dim());
            let moves = result.to_own.chunks_exact_mut(batch.dim());
            for (class, (center, to_center)) in centers.zip(moves).enumerate() {
                let factor = if class == batch.label(sample) { pull } else { -push };
                add_difference(gradient, factor, feature, center);
                add_difference(to_center, factor, center, feature);
            }
        }
        result.loss /= size;
        result
    }
}

impl ContrastiveCenter {
    /// a and b of a sample.
    fn distances(&self, batch: &Batch<'_>, centers: &[f64], sample: usize) -> (f64, f64) {
        let (mut near, mut far) = (0.0, 0.0);
        for (class, center) in centers.chunks_exact(batch.dim()).enumerate() {
            let squares = squared_distance(batch.feature(sample), center);
            *(if class == batch.label(sample) { &mut near } else { &mut far }) += squares;
        }
        (near, far + self.delta)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::evaluate;
    use super::*;

    const LOSS: ContrastiveCenter = ContrastiveCenter { delta: 1.0 };

    /// One sample at 1 of class 0, centers at 0, 3 and 4: a = 1, b = 4 + 9 + 1 = 14.
    #[test]
    fn one_sample_by_hand() {
        let found = evaluate(&LOSS, &[1.0], &[0], &[0.0, 3.0, 4.0]);
        assert_eq!((found.loss, found.anchors), (0.5 / 14.0, 1));
        let (pull, push) = (1.0 / 14.0, 1.0 / 14.0 / 14.0);
        let by_hand = [pull + 5.0 * push, -pull, -2.0 * push, -3.0 * push];
        let found = [found.to_features, found.to_own].concat();
        assert!(found.iter().zip(by_hand).all(|(found, by_hand)| (found - by_hand).abs() < 1e-16));
    }

    #[test]
    fn with_one_class_the_denominator_is_delta() {
        let found = evaluate(&ContrastiveCenter { delta: 2.0 }, &[3.0], &[0], &[0.0]);
        assert_eq!((found.loss, found.to_features), (0.5 * 9.0 / 2.0, vec![1.5]));
    }

    #[test]
    fn everything_at_one_point_is_zero() {
        let found = evaluate(&LOSS, &[1.0; 4], &[0, 1], &[1.0; 4]);
        assert_eq!(found.loss, 0.0);
        assert_eq!(found.to_features, [0.0; 4]);
    }
}
