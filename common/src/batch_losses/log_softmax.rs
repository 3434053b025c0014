//! Logarithms of a softmax that neither overflow nor lose the digits of a probability near 1. Called by the losses
//! that are a cross-entropy over scores.

/// Replaces scores by log p_k = (s_k − s*) − log Σ_j exp(s_j − s*), with s* the highest score. The term of s* itself is
/// 1 and is left to `log1p`, so that −log p* keeps its digits where it is far below 10⁻¹⁶.
pub fn log_softmax(scores: &mut [f64]) {
    let Some(best) = highest(scores) else { return };
    let top = scores[best];
    let others = scores.iter().enumerate().filter(|(k, _)| *k != best);
    let normaliser = libm::log1p(others.map(|(_, score)| libm::exp(score - top)).sum());
    scores.iter_mut().for_each(|score| *score = (*score - top) - normaliser);
}

/// The index of the highest score, the first of equals; `None` of no scores.
pub fn highest(scores: &[f64]) -> Option<usize> {
    (0..scores.len()).reduce(|best, k| if scores[k] > scores[best] { k } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_scores_do_not_overflow_and_small_losses_keep_their_digits() {
        let mut scores = [1000.0, 1000.0];
        log_softmax(&mut scores);
        assert_eq!(scores, [-std::f64::consts::LN_2; 2]);
        let mut scores = [0.0, -60.0];
        log_softmax(&mut scores);
        assert_eq!(scores, [-libm::exp(-60.0), -60.0 - libm::exp(-60.0)]);
    }

    #[test]
    fn one_score_is_certain_and_none_is_nothing() {
        let mut scores = [7.0];
        log_softmax(&mut scores);
        assert_eq!(scores, [0.0]);
        log_softmax(&mut []);
        assert_eq!(highest(&[]), None);
        assert_eq!(highest(&[1.0, 7.0, 7.0]), Some(1));
    }
}
