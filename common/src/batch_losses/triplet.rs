//! Batch-hard triplet loss (Hermans, Beyer & Leibe, "In Defense of the Triplet Loss for Person Re-Identification",
//! 2017, its L_BH), with a margin or its soft form log(1 + exp(·)), over Euclidean distances.
//!
//! With p(i) the farthest other sample of the class of i and n(i) the nearest one of another class:
//! `L = (1/A)·Σ_i h(D(i, p(i)) − D(i, n(i)))`, `h(u) = max(0, m + u)` or `log(1 + exp(u))`, over the A samples that
//! have both. Which samples these are is not differentiated. Called through the table; never mines outside the batch.

use super::criterion::{Batch, BatchLoss, Criterion, Own};
use super::vectors::{add_difference, squared_distance};

/// The batch-hard triplet loss.
///
/// A batch of one class, or without two samples of a class, has no anchors. Of equally far samples the lower index is
/// taken; compared are squared distances, whose roots may be equal where they are not. A distance of 0 has gradient 0,
/// and so has the hinge at 0. Equal points all give h(0), and no gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Triplet {
    /// max(0, margin + u), margin in units of distance.
    Margin(f64),
    /// log(1 + exp(u)).
    Soft,
}

impl Criterion for Triplet {
    fn own(&self) -> Own {
        Own::Nothing
    }

    fn evaluate_finite(&self, batch: &Batch<'_>, own: &[f64]) -> BatchLoss {
        let mut result = BatchLoss::zero(batch, own);
        let triplets: Vec<[Side; 2]> =
            (0..batch.samples()).filter_map(|anchor| hardest(batch, anchor)).collect();
        result.anchors = triplets.len();
        for [positive, negative] in triplets {
            let (value, slope) = self.hinge(positive.distance - negative.distance);
            result.loss += value;
            let slope = slope / result.anchors as f64;
            positive.add_gradient(batch, slope, &mut result.to_features);
            negative.add_gradient(batch, -slope, &mut result.to_features);
        }
        result.loss /= result.anchors.max(1) as f64;
        result
    }
}

impl Triplet {
    /// h(u) and h'(u).
    fn hinge(self, u: f64) -> (f64, f64) {
        match self {
            Triplet::Margin(margin) if margin + u <= 0.0 => (0.0, 0.0),
            Triplet::Margin(margin) => (margin + u, 1.0),
            Triplet::Soft if u > 0.0 => {
                (u + libm::log1p(libm::exp(-u)), 1.0 / (1.0 + libm::exp(-u)))
            }
            Triplet::Soft => (libm::log1p(libm::exp(u)), libm::exp(u) / (1.0 + libm::exp(u))),
        }
    }
}

/// An anchor, another sample, and their distance.
#[derive(Clone, Copy, Debug)]
struct Side {
    anchor: usize,
    other: usize,
    distance: f64,
}

impl Side {
    /// Adds slope·∂‖f_a − f_o‖/∂f, which is ±(f_a − f_o)/‖f_a − f_o‖, and 0 where the distance is.
    fn add_gradient(self, batch: &Batch<'_>, slope: f64, gradient: &mut [f64]) {
        if self.distance == 0.0 {
            return;
        }
        let (anchor, other) = (batch.feature(self.anchor), batch.feature(self.other));
        let factor = slope / self.distance;
        let range = |sample: usize| sample * batch.dim()..(sample + 1) * batch.dim();
        add_difference(&mut gradient[range(self.anchor)], factor, anchor, other);
        add_difference(&mut gradient[range(self.other)], factor, other, anchor);
    }
}

/// The anchor's farthest positive and nearest negative; `None` if it lacks either.
fn hardest(batch: &Batch<'_>, anchor: usize) -> Option<[Side; 2]> {
    let mut farthest: Option<(usize, f64)> = None;
    let mut nearest: Option<(usize, f64)> = None;
    for other in (0..batch.samples()).filter(|&other| other != anchor) {
        let squares = squared_distance(batch.feature(anchor), batch.feature(other));
        if batch.label(other) != batch.label(anchor) {
            if nearest.is_none_or(|(_, least)| squares < least) {
                nearest = Some((other, squares));
            }
        } else if farthest.is_none_or(|(_, most)| squares > most) {
            farthest = Some((other, squares));
        }
    }
    let side = |(other, squares): (usize, f64)| Side { anchor, other, distance: squares.sqrt() };
    Some([side(farthest?), side(nearest?)])
}

#[cfg(test)]
mod tests {
    use super::super::tests::evaluate;
    use super::*;

    /// On a line: class 0 at 0 and 1, class 1 at 3 and 4. Anchors 0 and 3: 1 − 3; anchors 1 and 2: 1 − 2.
    #[test]
    fn four_samples_by_hand() {
        let points = [0.0, 1.0, 3.0, 4.0];
        let found = evaluate(&Triplet::Margin(1.5), &points, &[0, 0, 1, 1], &[]);
        assert_eq!((found.loss, found.anchors), (0.25, 4));
        // Of anchor 1: +∂D(1,0) − ∂D(1,2); of anchor 2: +∂D(2,3) − ∂D(2,1); each a quarter.
        assert_eq!(found.to_features, [-0.25, 0.75, -0.75, 0.25]);
        let soft = evaluate(&Triplet::Soft, &points, &[0, 0, 1, 1], &[]);
        let by_hand = (libm::log1p(libm::exp(-2.0)) + libm::log1p(libm::exp(-1.0))) / 2.0;
        assert!((soft.loss - by_hand).abs() < 1e-15);
    }

    #[test]
    fn satisfied_anchors_count_and_have_no_gradient() {
        let found = evaluate(&Triplet::Margin(0.3), &[0.0, 1.0, 3.0, 4.0], &[0, 0, 1, 1], &[]);
        assert_eq!((found.loss, found.anchors), (0.0, 4));
        assert_eq!(found.to_features, [0.0; 4]);
    }

    #[test]
    fn a_hinge_at_zero_has_no_gradient() {
        let found = evaluate(&Triplet::Margin(1.0), &[0.0, 1.0, 2.0], &[0, 0, 1], &[]);
        assert_eq!((found.loss, found.anchors), (0.5, 2));
        assert_eq!(found.to_features, [-0.5, 1.0, -0.5]);
    }

    #[test]
    fn of_equals_the_lower_index_is_taken() {
        let line = [0.0, 1.0, -1.0, 2.0, -2.0];
        let batch = Batch::new(&line, &[0, 0, 0, 1, 1], 1, 2).unwrap();
        let [positive, negative] = hardest(&batch, 0).unwrap();
        assert_eq!((positive.other, negative.other), (1, 3));
    }

    #[test]
    fn equal_points_have_a_loss_and_no_gradient() {
        let found = evaluate(&Triplet::Margin(0.3), &[1.0; 8], &[0, 0, 1, 1], &[]);
        assert_eq!((found.loss, found.anchors), (0.3, 4));
        assert_eq!(found.to_features, [0.0; 8]);
        let soft = evaluate(&Triplet::Soft, &[1.0; 8], &[0, 0, 1, 1], &[]);
        assert!((soft.loss - std::f64::consts::LN_2).abs() < 1e-15);
    }

    #[test]
    fn far_points_do_not_overflow_the_soft_margin() {
        let found = evaluate(&Triplet::Soft, &[0.0, 1e6, 1.0], &[0, 0, 1], &[]);
        assert!((found.loss - (1e6 - 1.0 + 1.0) / 2.0).abs() < 1.0);
        assert!(found.to_features.iter().all(|g| g.is_finite()));
    }
}
