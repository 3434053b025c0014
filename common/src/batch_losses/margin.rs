//! Softmax over cosines with a margin: ArcFace (Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face
//! Recognition", CVPR 2019) and CosFace (Wang et al., "CosFace: Large Margin Cosine Loss for Deep Face
//! Recognition", CVPR 2018).
//!
//! With cosθ_k = f/‖f‖ · w_k/‖w_k‖, the scores are s·cosθ_k, but for the label s·φ, and the loss is the mean over the
//! batch of the softmax cross-entropy.
//!
//! ```text
//! CosFace  φ = cosθ − m                                        φ' = dφ/dcosθ = 1
//! ArcFace  φ = cos(θ + m) = cosθ·cos m − sinθ·sin m            φ' = cos m + sin m·cosθ/sinθ    if θ + m ≤ π
//!          φ = cosθ − m·sin m                                  φ' = 1                          beyond
//! ```
//!
//! The second line of ArcFace is that of the reference implementations without "easy margin" (`ArcFace` of
//! deepinsight/insightface's recognition/arcface_torch/losses.py, ronghuaiyang/arcface-pytorch): it goes on falling
//! with θ where cos(θ + m) would rise again. At θ = π − m the loss is not continuous: φ steps down by cos m + m·sin m
//! − 1, which is 0.117 for m = 0.5. (They take the first line for θ + m < π, this file for ≤: one angle differs.)
//! Called through the table; never adds a bias.

use super::criterion::{Batch, BatchLoss, Criterion, Own, Scores};
use super::log_softmax::{highest, log_softmax};
use super::units::Units;
use super::vectors::{add_scaled, dot};

/// What is taken from the label's cosine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Margin {
    /// ArcFace: added to the angle, in radians, 0 to π/2; beyond 2.33 the score would rise at θ = π − m.
    Angle(f64),
    /// CosFace: subtracted from the cosine.
    Cosine(f64),
}

/// A softmax loss over cosines with a margin. Its own parameters are `output.weight`, `[C, d]`.
///
/// Every sample takes part. A feature or weight of length 0 is orthogonal to everything and gets no gradient. With one
/// class loss and gradients are 0. Exactly on its class's direction (θ = 0) ArcFace has a kink; the part of the
/// gradient that would point away from it has no direction there and is 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MarginSoftmax {
    /// s, by which cosines are multiplied; above 0.
    pub scale: f64,
    /// m.
    pub margin: Margin,
}

impl Criterion for MarginSoftmax {
    fn own(&self) -> Own {
        Own::OutputWeight
    }

    fn evaluate_finite(&self, batch: &Batch<'_>, own: &[f64]) -> BatchLoss {
        let mut result = BatchLoss::zero(batch, own);
        result.anchors = batch.samples();
        let dim = batch.dim();
        let (units, weights) = (Units::new(batch.features(), dim), Units::new(own, dim));
        let (mut to_units, mut to_weights) = (result.to_features, result.to_own);
        for (sample, to_unit) in to_units.chunks_exact_mut(dim).enumerate() {
            let (unit, label) = (units.row(sample), batch.label(sample));
            let mut scores = self.cosine_scores(unit, &weights);
            let (phi, slope) = self.with_margin(unit, weights.row(label));
            scores[label] = self.scale * phi;
            log_softmax(&mut scores);
            result.loss -= scores[label];
            for (class, to_weight) in to_weights.chunks_exact_mut(dim).enumerate() {
                // p − 1 of the label without cancelling.
                let to_cosine = if class == label {
                    libm::expm1(scores[class]) * slope
                } else {
                    libm::exp(scores[class])
                };
                let factor = self.scale * to_cosine / batch.samples() as f64;
                add_scaled(to_unit, factor, weights.row(class));
                add_scaled(to_weight, factor, unit);
            }
        }
        result.loss /= batch.samples() as f64;
        result.to_features = units.gradient(to_units);
        result.to_own = weights.gradient(to_weights);
        result
    }

    /// s·cosθ, without margin.
    fn scores(&self, batch: &Batch<'_>, own: &[f64]) -> Option<Scores> {
        let units = Units::new(batch.features(), batch.dim());
        let weights = Units::new(own, batch.dim());
        let rows = (0..units.rows()).map(|sample| self.cosine_scores(units.row(sample), &weights));
        let rows: Vec<Vec<f64>> = rows.collect();
        let predictions = rows.iter().map(|scores| highest(scores).unwrap_or(0) as u16).collect();
        Some(Scores { scores: rows.concat(), predictions })
    }
}

impl MarginSoftmax {
    fn cosine_scores(&self, unit: &[f64], weights: &Units) -> Vec<f64> {
        (0..weights.rows()).map(|class| self.scale * dot(unit, weights.row(class))).collect()
    }

    /// φ and dφ/dcosθ of the angle between two unit vectors.
    fn with_margin(&self, unit: &[f64], weight: &[f64]) -> (f64, f64) {
        let cosine = dot(unit, weight);
        match self.margin {
            Margin::Cosine(margin) => (cosine - margin, 1.0),
            Margin::Angle(margin) if cosine < -libm::cos(margin) => {
                (cosine - margin * libm::sin(margin), 1.0)
            }
            Margin::Angle(margin) => {
                let (sin_m, cos_m) = (libm::sin(margin), libm::cos(margin));
                let sine = sine(unit, weight);
                let turning = if sine > 0.0 { sin_m * cosine / sine } else { 0.0 };
                (cosine * cos_m - sine * sin_m, cos_m + turning)
            }
        }
    }
}

/// sinθ between two unit vectors, 1 if either is zero: 2·√(pq)/(p + q) with p = ‖u − w‖², q = ‖u + w‖². Its error is
/// 10⁻¹⁶ everywhere; that of √(1 − cos²θ) is 10⁻⁸ where the vectors are nearly parallel, and of acos likewise.
fn sine(unit: &[f64], weight: &[f64]) -> f64 {
    let (mut minus, mut plus) = (0.0, 0.0);
    for (u, w) in unit.iter().zip(weight) {
        minus += (u - w) * (u - w);
        plus += (u + w) * (u + w);
    }
    match minus + plus {
        0.0 => 1.0,
        total => 2.0 * (minus * plus).sqrt() / total,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{evaluate, gradient_error};
    use super::*;

    const ARCFACE: MarginSoftmax = MarginSoftmax { scale: 30.0, margin: Margin::Angle(0.5) };
    const COSFACE: MarginSoftmax = MarginSoftmax { scale: 30.0, margin: Margin::Cosine(0.35) };

    /// Feature (2,0), weights (3,4) and (0,5): cosines 0.6 and 0, label 0.
    #[test]
    fn one_sample_by_hand() {
        let (features, weights) = ([2.0, 0.0], [3.0, 4.0, 0.0, 5.0]);
        let cosface = MarginSoftmax { scale: 2.0, margin: Margin::Cosine(0.1) };
        let found = evaluate(&cosface, &features, &[0], &weights);
        assert!((found.loss - libm::log1p(libm::exp(-1.0))).abs() < 1e-15);
        // ∂L/∂u = 2·(p − 1)·(w_0 − w_1), across u (its y) and divided by ‖f‖ = 2.
        let q = 1.0 / (1.0 + libm::exp(1.0));
        assert!(found.to_features[0].abs() < 1e-15);
        assert!((found.to_features[1] - q * (1.0 - 0.8)).abs() < 1e-15);
        // ∂L/∂w_1 across w_1 = (0,1), divided by 5: 2·q·(1,0)/5.
        assert!((found.to_own[2] - 2.0 * q / 5.0).abs() < 1e-15);
        let arcface = MarginSoftmax { scale: 2.0, margin: Margin::Angle(0.1) };
        let found = evaluate(&arcface, &features, &[0], &weights);
        let phi = 0.6 * libm::cos(0.1) - 0.8 * libm::sin(0.1);
        assert!((found.loss - libm::log1p(libm::exp(-2.0 * phi))).abs() < 1e-15);
    }

    #[test]
    fn beyond_pi_the_margin_is_linear_and_goes_on_falling() {
        let at =
            |angle: f64| ARCFACE.with_margin(&[libm::cos(angle), libm::sin(angle)], &[1.0, 0.0]);
        let turn = std::f64::consts::PI - 0.5;
        assert!((at(turn - 1e-9).0 + 1.0).abs() < 1e-15);
        let linear = libm::cos(turn) - 0.5 * libm::sin(0.5);
        assert!((at(turn + 1e-9).0 - linear).abs() < 1e-8 && at(turn + 1e-9).1 == 1.0);
        let angles: Vec<f64> = (0..=31).map(|i| at(f64::from(i) / 10.0).0).collect();
        assert!(angles.is_sorted_by(|a, b| a > b));
    }

    #[test]
    fn beyond_pi_the_gradient_is_the_central_difference_too() {
        let mut features = [-2.0, 0.3, 0.1];
        let weights = [1.0, 0.1, 0.0, 0.2, 1.0, -0.5];
        let found = evaluate(&ARCFACE, &features, &[0], &weights);
        let error = gradient_error(&found.to_features, |i, step| {
            let mut moved = features;
            moved[i] += step;
            evaluate(&ARCFACE, &moved, &[0], &weights).loss
        });
        assert!(error < 1e-6, "{error:e}");
        let error = gradient_error(&found.to_own, |i, step| {
            let mut moved = weights;
            moved[i] += step;
            evaluate(&ARCFACE, &features, &[0], &moved).loss
        });
        assert!(error < 1e-6, "{error:e}");
        features[0] = 2.0;
        assert!(evaluate(&ARCFACE, &features, &[0], &weights).loss < found.loss);
    }

    #[test]
    fn the_sine_keeps_its_digits_near_zero() {
        let angle: f64 = 1e-9;
        let found = sine(&[libm::cos(angle), libm::sin(angle)], &[1.0, 0.0]);
        assert!((found / angle - 1.0).abs() < 1e-6);
        assert_eq!(sine(&[0.0; 2], &[1.0, 0.0]), 1.0);
        assert_eq!(sine(&[0.0; 2], &[0.0; 2]), 1.0);
    }

    #[test]
    fn on_its_direction_the_gradient_is_finite() {
        let (features, weights) = ([1.0, 2.0, 3.0], [2.0, 4.0, 6.0, -1.0, 0.5, 1.0]);
        let found = evaluate(&ARCFACE, &features, &[0], &weights);
        assert!(found.loss.is_finite());
        assert!(found.to_features.iter().chain(&found.to_own).all(|g| g.is_finite()));
    }

    #[test]
    fn zero_vectors_have_scores_and_no_gradient() {
        for loss in [ARCFACE, COSFACE] {
            let found = evaluate(&loss, &[0.0, 0.0], &[0], &[1.0, 0.0, 0.0, 1.0]);
            assert!(found.loss.is_finite());
            assert_eq!([found.to_features, found.to_own].concat(), [0.0; 6]);
        }
    }

    #[test]
    fn scores_have_no_margin() {
        let batch = Batch::new(&[0.0, 2.0, 5.0, 0.0], &[0, 1], 2, 2).unwrap();
        let found = ARCFACE.scores(&batch, &[1.0, 0.0, 0.0, 3.0]).unwrap();
        assert_eq!(found.scores, [0.0, 30.0, 30.0, 0.0]);
        assert_eq!(found.predictions, [1, 0]);
    }
}
