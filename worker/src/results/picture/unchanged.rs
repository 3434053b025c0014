//! The pictures of ten digits keep every byte: these digests were taken before there were other classes.

use common::config::PictureFormat::{Jpg, Png, Svg};
use sha2::{Digest, Sha256};

use super::testing::spread_clusters;
use super::{Animation, Extent, History, draw_confusion, draw_curves, draw_features};
use crate::results::epoch_features::EpochFeatures;

fn check(what: &str, bytes: Vec<u8>, expected: &str) {
    assert_eq!(common::hexadecimal(&Sha256::digest(&bytes)[..8]), expected, "{what}");
}

fn bare(mut features: EpochFeatures) -> EpochFeatures {
    features.test = None;
    features.metrics.test = Default::default();
    features.centers = None;
    features
}

#[test]
fn features_of_digits_are_unchanged() {
    let plain = spread_clusters(3000, 2, 0.5, 12);
    check("png", draw_features(&plain, Png).unwrap(), "21f368c807bfa9d6");
    check("jpg", draw_features(&plain, Jpg).unwrap(), "ce68156b7e955336");
    check("svg", draw_features(&plain, Svg).unwrap(), "5054369eb0a830a5");
    let projected = spread_clusters(60, 3, 3.0, 12);
    check("projected", draw_features(&projected, Png).unwrap(), "6297bdb532956d4c");
    let alone = bare(projected);
    check("alone", draw_features(&alone, Svg).unwrap(), "fb8b4542f3a1e340");
}

#[test]
fn confusion_and_curves_of_digits_are_unchanged() {
    let plain = spread_clusters(3000, 2, 0.5, 12);
    check("png", draw_confusion(&plain, Png).unwrap(), "7ea957bd8ba349f5");
    check("jpg", draw_confusion(&plain, Jpg).unwrap(), "d774a740986a124a");
    check("svg", draw_confusion(&plain, Svg).unwrap(), "44b7531d21847832");
    let history = History { epochs: &[plain.metrics], synthetic: false };
    check("curves", draw_curves(history, Png).unwrap(), "0aee262d9375553e");
}

#[test]
fn crowded_synthetic_digits_are_unchanged() {
    let mut crowded = spread_clusters(60, 2, 3.0, 99_999);
    crowded.synthetic = true;
    crowded.dataset = "/a/very/long/path/to/some/mnist".into();
    let centers = crowded.centers.as_mut().unwrap();
    centers.values.iter_mut().for_each(|value| *value *= 0.05);
    check("features", draw_features(&crowded, Png).unwrap(), "e31a6b45620c365b");
    check("confusion", draw_confusion(&crowded, Svg).unwrap(), "704494e916945cd6");
}

#[test]
fn the_animation_of_digits_is_unchanged() {
    for (dim, expected) in [(2, "04b9f0cd6f79f7e1"), (3, "f6a189d2795e9705")] {
        let epochs: Vec<_> =
            (0..3).map(|k| spread_clusters(300, dim, 2.0 / (k + 1) as f64, k)).collect();
        let extents = epochs.iter().map(|features| Extent::of(features).unwrap());
        let mut animation = Animation::new(extents.reduce(Extent::union).unwrap());
        epochs.iter().for_each(|features| animation.push(features).unwrap());
        check("gif", animation.finish().unwrap(), expected);
    }
}
