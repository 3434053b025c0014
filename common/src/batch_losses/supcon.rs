//! Supervised contrastive loss (Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020), the form L_out of its
//! equation 2, with one view of each sample and features normalised to length 1.
//!
//! With z = f/‖f‖, s_ia = z_i·z_a/τ, P(i) the other samples with the label of i, and q_ia the softmax of s_i over
//! a ≠ i: `L = (1/A)·Σ_i (−1/|P(i)|)·Σ_{p ∈ P(i)} log q_ip` over the A samples whose P(i) is not empty. (The paper
//! sums; this is the mean over anchors.) `∂L/∂s_ia = (q_ia − [a ∈ P(i)]/|P(i)|)/A`. Called through the table; about
//! 3·B²·d products, on every rank the same.

use super::criterion::{Batch, BatchLoss, Criterion, Own};
use super::log_softmax::log_softmax;
use super::units::Units;
use super::vectors::{add_scaled, dot};

/// The supervised contrastive loss.
///
/// A sample without another of its class is no anchor, but stays among the others' negatives. A zero vector is
/// orthogonal to every sample and gets no gradient. With one class only, all others are positives and the loss pulls
/// towards uniform similarities.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SupCon {
    /// τ, by which similarities are divided; above 0. Cosines are in ±1, scores in ±1/τ.
    pub temperature: f64,
}

impl Criterion for SupCon {
    fn own(&self) -> Own {
        Own::Nothing
    }

    fn evaluate_finite(&self, batch: &Batch<'_>, own: &[f64]) -> BatchLoss {
        let mut result = BatchLoss::zero(batch, own);
        let positives = batch.positives();
        result.anchors = positives.iter().filter(|&&count| count > 0).count();
        if result.anchors == 0 {
            return result;
        }
        let units = Units::new(batch.features(), batch.dim());
        let mut to_units = result.to_features;
        for anchor in (0..batch.samples()).filter(|&i| positives[i] > 0) {
            let target = 1.0 / positives[anchor] as f64;
            result.loss += self.anchor(batch, &units, (anchor, target), |other, to_score| {
                let factor = to_score / (self.temperature * result.anchors as f64);
                add_scaled(row(&mut to_units, anchor, batch.dim()), factor, units.row(other));
                add_scaled(row(&mut to_units, other, batch.dim()), factor, units.row(anchor));
            });
        }
        result.loss /= result.anchors as f64;
        result.to_features = units.gradient(to_units);
        result
    }
}

impl SupCon {
    /// One anchor's term; hands q − target of every other sample to `each`, in index order.
    fn anchor(
        &self,
        batch: &Batch<'_>,
        units: &Units,
        (anchor, target): (usize, f64),
        mut each: impl FnMut(usize, f64),
    ) -> f64 {
        let others = || (0..batch.samples()).filter(move |&other| other != anchor);
        let score = |other| dot(units.row(anchor), units.row(other)) / self.temperature;
        let mut log_q: Vec<f64> = others().map(score).collect();
        log_softmax(&mut log_q);
        let mut term = 0.0;
        for (other, log_q) in others().zip(log_q) {
            if batch.label(other) == batch.label(anchor) {
                term -= target * log_q;
                each(other, libm::exp(log_q) - target);
            } else {
                each(other, libm::exp(log_q));
            }
        }
        term
    }
}

fn row(matrix: &mut [f64], row: usize, dim: usize) -> &mut [f64] {
    &mut matrix[row * dim..(row + 1) * dim]
}

#[cfg(test)]
mod tests {
    use super::super::tests::evaluate;
    use super::*;

    /// z = (1,0), (0,1), (0,1) with labels 0, 0, 1 and τ = 1: anchors 0 and 1. Scores of 0: 0, 0, so −log ½. Scores of
    /// 1: 0 to its positive, 1 to sample 2, so log(1 + e).
    #[test]
    fn three_samples_by_hand() {
        let found = evaluate(
            &SupCon { temperature: 1.0 },
            &[2.0, 0.0, 0.0, 3.0, 0.0, 1.0],
            &[0, 0, 1],
            &[],
        );
        let e = libm::exp(1.0);
        assert_eq!(found.anchors, 2);
        assert!((found.loss - (libm::log(2.0) + libm::log1p(e)) / 2.0).abs() < 1e-15);
        // ∂/∂z_0 = [(½ − 1)·z_1 + ½·z_2 + (1/(1+e) − 1)·z_1]/2, across z_0, divided by ‖f_0‖ = 2.
        let along_y = (1.0 / (1.0 + e) - 1.0) / 2.0 / 2.0;
        assert!(found.to_features[0].abs() < 1e-15);
        assert!((found.to_features[1] - along_y).abs() < 1e-15);
    }

    #[test]
    fn two_equal_samples_of_one_class_are_done() {
        let found = evaluate(&SupCon { temperature: 0.1 }, &[1.0, 2.0, 1.0, 2.0], &[3, 3], &[]);
        assert_eq!((found.loss, found.anchors), (0.0, 2));
        assert_eq!(found.to_features, [0.0; 4]);
    }

    #[test]
    fn a_zero_vector_gets_no_gradient_and_breaks_nothing() {
        let features = [0.0, 0.0, 1.0, 2.0, -1.0, 1.0];
        let found = evaluate(&SupCon { temperature: 0.1 }, &features, &[0, 0, 1], &[]);
        assert!(found.loss.is_finite() && found.to_features.iter().all(|g| g.is_finite()));
        assert_eq!(found.to_features[..2], [0.0; 2]);
    }
}
