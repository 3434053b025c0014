//! How far apart the classes lie: what `metrics.jsonl` says about the features of the test set.
//!
//! Pure functions of a [`FeatureSet`]. Every sum runs in the order of the samples, so the bits do not depend on who
//! computes them. Called by the evaluation and by the pictures; knows neither torch nor files.

use common::metrics::TestMetrics;

use super::epoch_features::{FeatureSet, Points};

/// `confusion[right][predicted]`: how many samples of each class were taken for which.
pub type Confusion = Vec<Vec<u64>>;

/// Everything that is measured on a test set of so many classes; all `None` where it is empty.
pub fn test_metrics(set: &FeatureSet, classes: usize, centers: Option<&Points>) -> TestMetrics {
    if set.is_empty() {
        return TestMetrics::default();
    }
    let means = class_means(set, classes);
    let intra = intra_distance(set, &means);
    let inter = inter_distance(&means);
    let ratio = intra.zip(inter).map(|(intra, inter)| intra / inter);
    TestMetrics {
        test_accuracy: accuracy(set),
        class_accuracy: Some(class_accuracy(&confusion(set, classes))),
        intra_distance: intra,
        inter_distance: inter,
        distance_ratio: ratio.filter(|ratio| ratio.is_finite()),
        nearest_center_accuracy: centers.map(|centers| nearest_center_accuracy(set, centers)),
    }
}

/// Share of samples whose prediction is right, 0…1.
pub fn accuracy(set: &FeatureSet) -> Option<f64> {
    let right = set.labels.iter().zip(&set.predictions).filter(|(label, taken)| label == taken);
    (!set.is_empty()).then(|| right.count() as f64 / set.len() as f64)
}

/// Counts what was taken for what.
pub fn confusion(set: &FeatureSet, classes: usize) -> Confusion {
    let mut counts = vec![vec![0; classes]; classes];
    for (&label, &prediction) in set.labels.iter().zip(&set.predictions) {
        counts[usize::from(label)][usize::from(prediction)] += 1;
    }
    counts
}

/// Share of each class's samples that were taken for it; `None` for a class without samples.
pub fn class_accuracy(confusion: &[Vec<u64>]) -> Vec<Option<f64>> {
    let share = |(class, row): (usize, &Vec<u64>)| {
        let samples: u64 = row.iter().sum();
        (samples > 0).then(|| row[class] as f64 / samples as f64)
    };
    confusion.iter().enumerate().map(share).collect()
}

/// Mean feature of each class, each `[dim]`; `None` for a class without samples.
pub fn class_means(set: &FeatureSet, classes: usize) -> Vec<Option<Vec<f64>>> {
    let mut sums = vec![vec![0.0; set.features.dim]; classes];
    let mut counts = vec![0u64; classes];
    for (&label, row) in set.labels.iter().zip(set.features.rows()) {
        let class = usize::from(label);
        counts[class] += 1;
        sums[class].iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    let mean = |(sum, count): (Vec<f64>, u64)| {
        (count > 0).then(|| sum.into_iter().map(|value| value / count as f64).collect())
    };
    sums.into_iter().zip(counts).map(mean).collect()
}

/// Mean distance of a sample to its class's mean, over all samples.
fn intra_distance(set: &FeatureSet, means: &[Option<Vec<f64>>]) -> Option<f64> {
    let samples = set.labels.iter().zip(set.features.rows());
    let distances = samples.filter_map(|(&label, row)| {
        means[usize::from(label)].as_ref().map(|mean| squared_distance(row, mean).sqrt())
    });
    mean(distances)
}

/// Mean distance between two class means, over all pairs of classes that have samples.
fn inter_distance(means: &[Option<Vec<f64>>]) -> Option<f64> {
    let present: Vec<&Vec<f64>> = means.iter().flatten().collect();
    let pairs = (0..present.len()).flat_map(|first| (0..first).map(move |second| (first, second)));
    mean(pairs.map(|(first, second)| squared_distance(present[first], present[second]).sqrt()))
}

/// Share of samples to which no other class's center is nearer than their own; of two equally near the first counts.
fn nearest_center_accuracy(set: &FeatureSet, centers: &Points) -> f64 {
    let nearest = |row: &[f64]| {
        let mut best = (f64::INFINITY, 0);
        for (class, center) in centers.rows().enumerate() {
            let distance = squared_distance(row, center);
            if distance < best.0 {
                best = (distance, class);
            }
        }
        best.1
    };
    let samples = set.labels.iter().zip(set.features.rows());
    let right = samples.filter(|(label, row)| nearest(row) == usize::from(**label)).count();
    right as f64 / set.len() as f64
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |sum, (a, b)| sum + (a - b) * (a - b))
}

/// `None` of nothing, and of what is not finite, for which JSON has no word.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u64), |(sum, count), value| (sum + value, count + 1));
    Some(sum / count as f64).filter(|mean| mean.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(features: &[[f64; 2]], labels: &[u16], predictions: &[u16]) -> FeatureSet {
        FeatureSet {
            features: Points { dim: 2, values: features.concat() },
            labels: labels.to_vec(),
            predictions: predictions.to_vec(),
        }
    }

    /// Means: class 0 (1, 0), class 1 (1, 4), class 5 (4, 4); pairs 4, 3 and 5 apart.
    fn three_classes() -> FeatureSet {
        let features = [[0.0, 0.0], [1.0, 4.0], [2.0, 0.0], [4.0, 2.0], [4.0, 6.0]];
        set(&features, &[0, 1, 0, 5, 5], &[0, 1, 5, 5, 1])
    }

    #[test]
    fn distances_are_those_worked_out_by_hand() {
        let mut centers = Points { dim: 2, values: vec![100.0; 20] };
        centers.values[..4].copy_from_slice(&[0.0, 0.0, 1.0, 4.0]);
        centers.values[10..12].copy_from_slice(&[4.0, 5.0]);
        let metrics = test_metrics(&three_classes(), 10, Some(&centers));
        assert_eq!(metrics.test_accuracy, Some(0.6));
        assert_eq!(metrics.intra_distance, Some((1.0 + 0.0 + 1.0 + 2.0 + 2.0) / 5.0));
        assert_eq!(metrics.inter_distance, Some(4.0));
        assert_eq!(metrics.distance_ratio, Some(0.3));
        // (4, 2) lies 3 from its own center and √13 from class 1's; all are nearest to their own.
        assert_eq!(metrics.nearest_center_accuracy, Some(1.0));
        let class_accuracy = metrics.class_accuracy.unwrap();
        assert_eq!(class_accuracy[..3], [Some(0.5), Some(1.0), None]);
        assert_eq!(class_accuracy[5], Some(0.5));
    }

    #[test]
    fn a_sample_nearer_to_another_center_counts_against() {
        let mut centers = Points { dim: 2, values: vec![100.0; 20] };
        centers.values[..4].copy_from_slice(&[0.0, 0.0, 0.0, 0.0]);
        let metrics = test_metrics(&three_classes(), 10, Some(&centers));
        // Everything is nearest to (0, 0), where class 0 comes first.
        assert_eq!(metrics.nearest_center_accuracy, Some(0.4));
    }

    #[test]
    fn confusion_counts_rows_by_the_right_class() {
        let confusion = confusion(&three_classes(), 10);
        assert_eq!((confusion[0][0], confusion[0][5], confusion[5][1]), (1, 1, 1));
        assert_eq!(confusion.iter().flatten().sum::<u64>(), 5);
    }

    #[test]
    fn nothing_to_tell_from_is_none() {
        assert_eq!(test_metrics(&FeatureSet::default(), 10, None), TestMetrics::default());
        let one_class = test_metrics(&set(&[[1.0, 2.0]], &[3], &[3]), 10, None);
        assert_eq!(one_class.intra_distance, Some(0.0));
        assert_eq!((one_class.inter_distance, one_class.distance_ratio), (None, None));
        let coincident = test_metrics(&set(&[[1.0, 2.0]; 2], &[3, 4], &[3, 4]), 10, None);
        assert_eq!((coincident.inter_distance, coincident.distance_ratio), (Some(0.0), None));
        let broken = test_metrics(&set(&[[f64::NAN, 2.0]], &[3], &[3]), 10, None);
        assert_eq!(broken.intra_distance, None);
    }
}
