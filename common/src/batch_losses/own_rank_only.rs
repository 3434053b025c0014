//! What data parallelism computes when each rank applies a loss to its own slice and gradients are averaged: the table
//! of the documentation, in numbers. `cargo test own_rank -- --nocapture` prints it.

use super::tests::{Sample, scattered};
use super::*;

const DIM: usize = 8;
const CLASSES: usize = 10;
const BATCHES: u64 = 100;

/// How far the average of the ranks is from the loss of the batch: sums over the batches, then their ratios.
#[derive(Clone, Copy, Debug, Default)]
struct Deviation {
    /// Mean of the ranks' losses over the batch's.
    loss: f64,
    /// ‖g_ranks − g‖/‖g‖ of ∂loss/∂features, mean over the batches.
    gradient: f64,
    /// Angle between them in degrees, mean over the batches.
    angle: f64,
    /// Samples that took part, of those that do in the batch.
    anchors: f64,
}

/// Mean of the ranks' losses, and the gradient that averaging leaves: each rank's over N.
fn own_rank_only(loss: &dyn Criterion, sample: &Sample, ranks: usize) -> BatchLoss {
    let samples = sample.labels.len();
    let own = &sample.own[..loss.own().len(CLASSES, DIM)];
    let none = Batch::new(&[], &[], DIM, CLASSES).unwrap();
    let mut total = BatchLoss::zero(&none, own);
    for rank in 0..ranks {
        let (from, to) = (rank * samples / ranks, (rank + 1) * samples / ranks);
        let features = &sample.features[from * DIM..to * DIM];
        let batch = Batch::new(features, &sample.labels[from..to], DIM, CLASSES).unwrap();
        let part = loss.evaluate(&batch, own);
        total.loss += part.loss / ranks as f64;
        total.anchors += part.anchors;
        total.to_features.extend(part.to_features.iter().map(|g| g / ranks as f64));
    }
    total
}

fn deviation(name: &str, samples: usize, ranks: usize) -> Deviation {
    let loss = find(name, &[]).unwrap();
    let (mut sum, mut whole_loss, mut whole_anchors) = (Deviation::default(), 0.0, 0.0);
    let norm = |g: &[f64]| vectors::dot(g, g).sqrt();
    for seed in 0..BATCHES {
        let sample = scattered(seed, samples, DIM, CLASSES);
        let (whole, parts) =
            (own_rank_only(&*loss, &sample, 1), own_rank_only(&*loss, &sample, ranks));
        let (a, b) = (&parts.to_features, &whole.to_features);
        let cosine = vectors::dot(a, b) / norm(a) / norm(b);
        sum.gradient += vectors::squared_distance(a, b).sqrt() / norm(b) / BATCHES as f64;
        sum.angle += libm::acos(cosine.min(1.0)).to_degrees() / BATCHES as f64;
        sum.loss += parts.loss;
        sum.anchors += parts.anchors as f64;
        (whole_loss, whole_anchors) =
            (whole_loss + whole.loss, whole_anchors + whole.anchors as f64);
    }
    Deviation { loss: sum.loss / whole_loss, anchors: sum.anchors / whole_anchors, ..sum }
}

/// Loss, gradient and anchors as the documentation has them, each rounded to its last digit there.
fn check(name: &str, samples: usize, ranks: usize, wanted: [f64; 3]) {
    let Deviation { loss, gradient, angle, anchors } = deviation(name, samples, ranks);
    println!(
        "{name:18} B {samples} N {ranks}: loss × {loss:.4}, gradient off by {gradient:.4} ({angle:.2}°), \
         anchors {anchors:.4}"
    );
    let found = [loss, gradient, anchors];
    let near = found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() <= 0.005);
    assert!(near, "{name} {ranks}: {found:?}, not {wanted:?}");
}

#[test]
fn losses_of_pairs_are_other_losses_on_slices() {
    let table = [
        ("supcon", 2, [0.81, 0.75, 0.96]),
        ("supcon", 4, [0.62, 1.21, 0.79]),
        ("triplet", 2, [0.72, 0.79, 0.96]),
        ("triplet", 4, [0.49, 1.03, 0.79]),
        ("triplet-soft", 2, [0.76, 0.75, 0.96]),
        ("triplet-soft", 4, [0.57, 0.96, 0.79]),
    ];
    table.into_iter().for_each(|(name, ranks, wanted)| check(name, 64, ranks, wanted));
}

#[test]
fn losses_of_single_samples_are_the_same_on_equal_slices() {
    for name in ["contrastive-center", "arcface", "cosface"] {
        for ranks in [2, 4] {
            let found = deviation(name, 64, ranks);
            assert!((found.loss - 1.0).abs() < 1e-14 && found.gradient < 1e-14, "{name}");
        }
    }
}

#[test]
fn losses_of_single_samples_weigh_those_of_short_slices_more() {
    let table = [
        ("contrastive-center", 2, [1.0, 0.08, 1.0]),
        ("contrastive-center", 4, [1.0, 0.12, 1.0]),
        ("arcface", 2, [1.0, 0.08, 1.0]),
        ("arcface", 4, [1.0, 0.12, 1.0]),
        ("cosface", 2, [1.0, 0.08, 1.0]),
        ("cosface", 4, [1.0, 0.12, 1.0]),
    ];
    table.into_iter().for_each(|(name, ranks, wanted)| check(name, 13, ranks, wanted));
}
