//! The classification loss of a logical shard: value, gradient of the scores, and predictions.
//!
//! Pure arithmetic in 64 bits on a few numbers per sample.

use common::config::ScoreLoss;

/// One logical shard's part of the mean over the global batch.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardPart {
    /// Σ −log p(label) over the shard's samples.
    pub negative_log_likelihood: f64,
    /// ∂(mean over the global batch)/∂score, `[samples, classes]`.
    pub gradient: Vec<f64>,
    /// The class with the highest score of each sample, the first of equals.
    pub predictions: Vec<u16>,
}

impl ShardPart {
    /// Where so many scores are no part of the loss.
    pub fn of_no_loss(scores: usize) -> Self {
        Self { negative_log_likelihood: 0.0, gradient: vec![0.0; scores], predictions: Vec::new() }
    }
}

/// The part of the samples with these scores, `[samples, classes]`, and labels, in a global batch of `batch` samples.
pub fn shard(scores: &[f64], labels: &[u16], loss: ScoreLoss, batch: usize) -> ShardPart {
    let mut part = ShardPart {
        negative_log_likelihood: 0.0,
        gradient: Vec::with_capacity(scores.len()),
        predictions: Vec::with_capacity(labels.len()),
    };
    let classes = scores.len() / labels.len().max(1);
    for (scores, &label) in scores.chunks_exact(classes.max(1)).zip(labels) {
        let label = usize::from(label);
        let best = predict(scores);
        let highest = scores[best];
        let normaliser = libm::log(scores.iter().map(|score| libm::exp(score - highest)).sum());
        part.negative_log_likelihood += match loss {
            ScoreLoss::CrossEntropy => normaliser + (highest - scores[label]),
            ScoreLoss::Softmax => -((scores[label] - highest) - normaliser),
        };
        part.gradient.extend(scores.iter().enumerate().map(|(class, score)| {
            let probability = libm::exp((score - highest) - normaliser);
            (probability - if class == label { 1.0 } else { 0.0 }) / batch as f64
        }));
        part.predictions.push(best as u16);
    }
    part
}

/// The class with the highest score, the first of equals.
pub fn predict(scores: &[f64]) -> usize {
    (1..scores.len()).fold(0, |best, class| if scores[class] > scores[best] { class } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCORES: [f64; 20] = [
        1.0, -2.0, 3.0, 0.5, 0.0, 0.1, 0.2, 0.3, -0.4, 2.5, -1.0, 2.0, 0.3, 0.25, 40.0, 1.1, 2.2,
        3.3, 4.4, 5.5,
    ];
    const LABELS: [u16; 2] = [9, 3];

    #[test]
    fn the_gradient_is_the_finite_difference_of_the_mean() {
        for loss in [ScoreLoss::Softmax, ScoreLoss::CrossEntropy] {
            let part = shard(&SCORES, &LABELS, loss, 2);
            for i in 0..SCORES.len() {
                let mut moved = SCORES;
                moved[i] += 1e-6;
                let moved = shard(&moved, &LABELS, loss, 2).negative_log_likelihood;
                let difference = (moved - part.negative_log_likelihood) / 1e-6 / 2.0;
                assert!((difference - part.gradient[i]).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn both_forms_are_one_loss() {
        let value = |loss| shard(&SCORES, &LABELS, loss, 2).negative_log_likelihood;
        assert!((value(ScoreLoss::Softmax) - value(ScoreLoss::CrossEntropy)).abs() < 1e-13);
    }

    #[test]
    fn predictions_take_the_first_of_equals() {
        assert_eq!(shard(&SCORES, &LABELS, ScoreLoss::Softmax, 2).predictions, [2, 4]);
        assert_eq!(predict(&[1.0, 7.0, 7.0]), 1);
    }
}
