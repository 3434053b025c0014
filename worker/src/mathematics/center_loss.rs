//! Center loss (Wen et al., "A Discriminative Feature Learning Approach for Deep Face Recognition", ECCV 2016) over the
//! global batch, and the two rules by which centers move.
//!
//! `L = (λ/2)·(1/B)·Σ_i ‖f_i − c_{y_i}‖² / n_{y_i}`, with n_k the samples of class k in the *global* batch. A logical
//! shard contributes its samples' terms and its classes' Σ(c − f); both are summed over all shards. Pure arithmetic in
//! 64 bits.

use common::config::CenterRule;

/// The center loss of one global batch.
#[derive(Clone, Copy, Debug)]
pub struct CenterLoss<'a> {
    /// The centers, `[classes, dim]`.
    pub centers: &'a [f64],
    /// Numbers of a feature vector.
    pub dim: usize,
    /// n_k over the global batch.
    pub counts: &'a [u64],
    /// λ.
    pub weight: f64,
    /// B, samples of the global batch.
    pub batch: usize,
}

/// One logical shard's part.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardPart {
    /// Σ‖f − c‖²/n over the shard's samples.
    pub distance: f64,
    /// ∂L/∂f, `[samples, dim]`: complete, as a sample's gradient depends on no other sample's features.
    pub gradient: Vec<f64>,
    /// Σ(c_k − f) over the shard's samples of each class, `[classes, dim]`.
    pub differences: Vec<f64>,
}

impl CenterLoss<'_> {
    /// The part of the samples with these features, `[samples, dim]`, and labels.
    pub fn shard(&self, features: &[f64], labels: &[u16]) -> ShardPart {
        let mut part = ShardPart {
            distance: 0.0,
            gradient: Vec::with_capacity(features.len()),
            differences: vec![0.0; self.centers.len()],
        };
        for (feature, &label) in features.chunks_exact(self.dim).zip(labels) {
            let class = usize::from(label);
            let range = class * self.dim..(class + 1) * self.dim;
            let count = self.counts[class] as f64;
            let factor = self.weight / (self.batch as f64 * count);
            let mut squares = 0.0;
            let differences = &mut part.differences[range.clone()];
            for ((f, c), sum) in feature.iter().zip(&self.centers[range]).zip(differences) {
                squares += (f - c) * (f - c);
                part.gradient.push(factor * (f - c));
                *sum += c - f;
            }
            part.distance += squares / count;
        }
        part
    }

    /// The loss, from Σ‖f − c‖²/n over all shards.
    pub fn value(&self, distance: f64) -> f64 {
        0.5 * self.weight * distance / self.batch as f64
    }

    /// The centers after this batch, from Σ(c − f) per class over all shards. A class absent from the batch keeps its
    /// center under both rules.
    pub fn moved(&self, differences: &[f64], rule: CenterRule, learning_rate: f64) -> Vec<f64> {
        let moves = self.centers.chunks_exact(self.dim).zip(differences.chunks_exact(self.dim));
        let moves = moves.zip(self.counts).flat_map(|((center, differences), &count)| {
            let factor = match (count, rule) {
                (0, _) => 0.0,
                (n, CenterRule::Autograd) => self.weight / (self.batch as f64 * n as f64),
                (n, CenterRule::Wen) => 1.0 / (1.0 + n as f64),
            };
            let step = move |(c, d): (&f64, &f64)| {
                if count == 0 { *c } else { c - learning_rate * factor * d }
            };
            center.iter().zip(differences).map(step)
        });
        moves.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEATURES: [f64; 8] = [1.0, 2.0, -1.0, 0.5, 3.0, -2.0, 0.0, 1.0];
    const LABELS: [u16; 4] = [3, 0, 3, 9];

    fn centers() -> Vec<f64> {
        (0..2 * CLASSES).map(|i| 0.1 * i as f64 - 1.0).collect()
    }

    const CLASSES: usize = 10;

    fn counts() -> [u64; CLASSES] {
        let mut counts = [0; CLASSES];
        LABELS.iter().for_each(|label| counts[usize::from(*label)] += 1);
        counts
    }

    fn value(features: &[f64], centers: &[f64]) -> f64 {
        let counts = counts();
        let loss = CenterLoss { centers, dim: 2, counts: &counts, weight: 2.0, batch: 4 };
        loss.value(loss.shard(features, &LABELS).distance)
    }

    #[test]
    fn gradients_are_the_finite_differences_of_the_loss() {
        let (centers, counts) = (centers(), counts());
        let loss = CenterLoss { centers: &centers, dim: 2, counts: &counts, weight: 2.0, batch: 4 };
        let part = loss.shard(&FEATURES, &LABELS);
        for (i, gradient) in part.gradient.iter().enumerate() {
            let mut moved = FEATURES;
            moved[i] += 1e-6;
            let difference = (value(&moved, &centers) - value(&FEATURES, &centers)) / 1e-6;
            assert!((difference - gradient).abs() < 1e-5);
        }
        let stepped = loss.moved(&part.differences, CenterRule::Autograd, 1.0);
        for (i, stepped) in stepped.iter().enumerate() {
            let mut moved = centers.clone();
            moved[i] += 1e-6;
            let difference = (value(&FEATURES, &moved) - value(&FEATURES, &centers)) / 1e-6;
            assert!((difference - (centers[i] - stepped)).abs() < 1e-5);
        }
    }

    #[test]
    fn the_papers_rule_is_its_equation_4() {
        let (centers, counts) = (centers(), counts());
        let loss = CenterLoss { centers: &centers, dim: 2, counts: &counts, weight: 2.0, batch: 4 };
        let part = loss.shard(&FEATURES, &LABELS);
        let moved = loss.moved(&part.differences, CenterRule::Wen, 0.5);
        let class_3 = centers[6] - 0.5 * ((centers[6] - 1.0) + (centers[6] - 3.0)) / (1.0 + 2.0);
        assert!((moved[6] - class_3).abs() < 1e-15);
    }

    #[test]
    fn an_absent_class_keeps_its_center() {
        let (centers, counts) = (centers(), counts());
        let loss = CenterLoss { centers: &centers, dim: 2, counts: &counts, weight: 2.0, batch: 4 };
        let part = loss.shard(&FEATURES, &LABELS);
        for rule in [CenterRule::Autograd, CenterRule::Wen] {
            let moved = loss.moved(&part.differences, rule, 0.5);
            assert_eq!(moved[2..6], centers[2..6]);
            assert_ne!(moved[0..2], centers[0..2]);
        }
    }

    #[test]
    fn shards_add_up_to_the_batch() {
        let (centers, counts) = (centers(), counts());
        let loss = CenterLoss { centers: &centers, dim: 2, counts: &counts, weight: 2.0, batch: 4 };
        let whole = loss.shard(&FEATURES, &LABELS);
        let parts =
            [loss.shard(&FEATURES[..6], &LABELS[..3]), loss.shard(&FEATURES[6..], &LABELS[3..])];
        assert!((parts[0].distance + parts[1].distance - whole.distance).abs() < 1e-14);
        assert_eq!([parts[0].gradient.clone(), parts[1].gradient.clone()].concat(), whole.gradient);
    }
}
