//! Curves of one epoch and of many, with and without a test set.

use common::ids::Epoch;
use common::metrics::TestMetrics;

use super::*;
use crate::results::picture::testing::{decode, ten_clusters};

fn epochs(n: u64) -> Vec<EpochMetrics> {
    let epoch = |k: u64| {
        let share = 1.0 / (k + 1) as f64;
        let mut metrics = ten_clusters(10, 2).metrics;
        metrics.epoch = Epoch(k);
        (metrics.softmax_loss, metrics.center_loss) = (1.5 * share, 0.1 * share);
        metrics.loss = metrics.softmax_loss + metrics.center_loss;
        metrics.train_accuracy = 1.0 - 0.5 * share;
        metrics.test.test_accuracy = Some(1.0 - 0.4 * share);
        metrics
    };
    (0..n).map(epoch).collect()
}

fn svg(epochs: &[EpochMetrics]) -> String {
    String::from_utf8(
        draw_curves(History { epochs, synthetic: false }, PictureFormat::Svg).unwrap(),
    )
    .unwrap()
}

#[test]
fn one_epoch_is_a_point_of_each_curve() {
    let one = svg(&epochs(1));
    assert_eq!(one.matches("<circle").count(), 6);
    assert!(one.contains("aria-label=\"softmax 1.500\""));
    let history = History { epochs: &epochs(1), synthetic: true };
    let image = decode(&draw_curves(history, PictureFormat::Png).unwrap());
    assert_eq!(image.dimensions(), SIZE);
}

#[test]
fn many_epochs_are_lines_without_marks() {
    assert_eq!(svg(&epochs(150)).matches("<circle").count(), 0);
    assert_eq!(svg(&epochs(150)), svg(&epochs(150)));
}

#[test]
fn what_there_is_not_has_no_curve() {
    let mut metrics = epochs(3);
    for epoch in &mut metrics {
        epoch.center_loss = 0.0;
        epoch.test = TestMetrics::default();
    }
    let text = svg(&metrics);
    assert!(!text.contains("center") && !text.contains("\"test ") && text.contains("softmax"));
}

#[test]
fn values_that_are_not_finite_are_left_out() {
    let mut metrics = epochs(3);
    metrics[1].loss = f64::NAN;
    metrics[1].softmax_loss = f64::INFINITY;
    assert_eq!(svg(&metrics).matches("<circle").count(), 16);
    metrics.iter_mut().for_each(|epoch| epoch.lr = f64::NAN);
    svg(&metrics);
    let none = History { epochs: &[], synthetic: false };
    assert!(matches!(draw_curves(none, PictureFormat::Png), Err(PictureError::NoEpoch)));
}

#[test]
fn percents_have_the_places_they_need() {
    let check = |low, high, expected: &str| {
        let mut ticks = ticks::linear(low, high, 4);
        as_percent(&mut ticks);
        let labels: Vec<_> = ticks.into_iter().map(|tick| tick.label).collect();
        assert_eq!(labels.join(" "), expected);
    };
    check(0.49, 1.0, "60 % 80 % 100 %");
    check(0.979, 0.985, "98.0 % 98.2 % 98.4 %");
}
