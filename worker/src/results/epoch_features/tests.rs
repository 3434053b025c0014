//! Feature files: there and back, the same bytes every time, and no panic on what is not one.

use common::metrics::{TermMetrics, TermsMetrics, TestMetrics};

use super::*;

fn sample() -> EpochFeatures {
    let third = 1.0 / 3.0;
    let test = TestMetrics {
        test_accuracy: Some(0.1),
        class_accuracy: Some(vec![None, Some(third)]),
        ..TestMetrics::default()
    };
    let set = |n: usize| FeatureSet {
        features: Points { dim: 3, values: (0..3 * n).map(|i| i as f64 * third).collect() },
        labels: (0..n).map(|i| (i % 10) as u16).collect(),
        predictions: (0..n).map(|i| (i % 7) as u16).collect(),
    };
    EpochFeatures {
        metrics: EpochMetrics {
            epoch: Epoch(7),
            loss: 0.1 + 0.2,
            softmax_loss: third,
            center_loss: 1e-17,
            terms: TermsMetrics(vec![TermMetrics {
                name: "triplet-soft".into(),
                loss: third,
                anchors: 7,
            }]),
            train_accuracy: 0.97,
            lr: 1e-3,
            images_per_second: 0.0,
            test,
        },
        dataset: "mnist \"quoted\"".into(),
        synthetic: true,
        class_names: digits(),
        train: set(23),
        test: Some(set(11)),
        centers: Some(Points { dim: 3, values: (0..30).map(|i| -f64::from(i) * third).collect() }),
    }
}

#[test]
fn double_precision_comes_back_bit_for_bit() {
    let mut features = sample();
    for _ in 0..2 {
        let bytes = features.to_safetensors(Precision::F64).unwrap();
        assert_eq!(EpochFeatures::from_safetensors(&bytes).unwrap(), features);
        features.test = None;
        features.centers = None;
        features.train =
            FeatureSet { features: Points { dim: 3, values: vec![] }, ..FeatureSet::default() };
    }
}

#[test]
fn single_precision_rounds_once() {
    let bytes = sample().to_safetensors(Precision::F32).unwrap();
    let read = EpochFeatures::from_safetensors(&bytes).unwrap();
    assert_eq!(read.train.features.values[1], f64::from(1.0f32 / 3.0));
    assert_eq!(read.to_safetensors(Precision::F32).unwrap(), bytes);
}

#[test]
fn equal_features_give_equal_bytes_whatever_the_throughput() {
    let mut again = sample();
    again.metrics.images_per_second = 406.0;
    let bytes = sample().to_safetensors(Precision::F64).unwrap();
    assert_eq!(again.to_safetensors(Precision::F64).unwrap(), bytes);
}

#[test]
fn many_named_classes_come_back() {
    let mut features = sample();
    features.class_names = (0..300).map(|class| format!("<class {class}>")).collect();
    features.train.labels[2] = 299;
    features.centers = Some(Points { dim: 3, values: vec![0.5; 900] });
    let bytes = features.to_safetensors(Precision::F64).unwrap();
    assert_eq!(EpochFeatures::from_safetensors(&bytes).unwrap(), features);
    features.class_names = digits();
    assert!(features.to_safetensors(Precision::F64).is_err());
}

#[test]
fn truncated_and_corrupted_files_are_errors() {
    let bytes = sample().to_safetensors(Precision::F32).unwrap();
    for length in 0..bytes.len() {
        assert!(EpochFeatures::from_safetensors(&bytes[..length]).is_err(), "{length} bytes");
    }
    for place in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[place] ^= 0x15;
        // Most changes are found, a changed number cannot be; none may panic.
        let _ = EpochFeatures::from_safetensors(&broken);
    }
}

#[test]
fn contradictions_are_named() {
    fn check(spoil: impl Fn(&mut EpochFeatures), expected: &str) {
        let mut features = sample();
        spoil(&mut features);
        let message = features.to_safetensors(Precision::F32).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    check(|f| f.train.labels[3] = 10, "train has class 10");
    check(|f| f.train.predictions[3] = 255, "train has class 255");
    check(|f| f.train.predictions.truncate(2), "23 labels and 2 predictions");
    check(|f| f.train.features.values.truncate(2), "train has 2 numbers for 23 points of 3");
    check(|f| f.test = Some(FeatureSet::default()), "test has 0 coordinates, train 3");
    check(|f| f.centers = f.test.as_ref().map(|t| t.features.clone()), "centers has 33 numbers");
}

#[test]
fn what_is_not_finite_is_named() {
    let mut features = sample();
    features.check_finite().unwrap();
    features.test.as_mut().unwrap().features.values[7] = f64::NAN;
    let message = features.check_finite().unwrap_err().to_string();
    assert_eq!(message, "test 2 has a value that is not a finite number");
}
