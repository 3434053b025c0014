//! Settings at the edge of what makes sense, and a file that makes none.

use std::path::Path;

use common::config::Network;

use crate::harness::{Launch, Results, data, formulas};

/// A short run: 30 samples, two epochs.
fn small(root: &Path, workers: u32) -> Launch {
    Launch::new(root).workers(workers).with(&[
        "--dataset",
        data::mnist(),
        "--train-samples",
        "30",
        "--epochs",
        "2",
    ])
}

fn complete(flags: &[&str]) -> (tempfile::TempDir, Results) {
    let folder = tempfile::tempdir().unwrap();
    let results = small(&folder.path().join("run"), 2).with(flags).complete();
    (folder, results)
}

#[test]
fn features_of_three_dimensions_are_trained_and_drawn() {
    let (_folder, results) =
        complete(&["--feature-dim", "3", "--test-samples", "20", "--batch-size", "10"]);
    let model = results.model("last");
    assert_eq!((model["center"].len(), model["features.weight"].len()), (30, 3 * 1152));
    for picture in ["epoch=0.png", "epoch=1.png", "curves.png", "confusion.png", "features.gif"] {
        let size = std::fs::metadata(results.path(&format!("pictures/{picture}"))).unwrap().len();
        assert!(size > 1000, "{picture} has {size} bytes");
    }
}

#[test]
fn without_test_samples_nothing_is_evaluated() {
    let (_folder, results) = complete(&["--test-samples", "0", "--batch-size", "10"]);
    let epochs: Vec<_> = results.metrics().into_iter().filter(|l| l["kind"] == "epoch").collect();
    assert_eq!(epochs.len(), 2);
    for epoch in epochs {
        assert!(epoch["test_accuracy"].is_null() && epoch["class_accuracy"].is_null(), "{epoch}");
        assert!(epoch["train_accuracy"].is_f64(), "{epoch}");
    }
    assert!(results.path("pictures/epoch=1.png").exists());
    assert!(!results.path("pictures/confusion.png").exists());
    assert!(!results.path("checkpoints/best.safetensors").exists());
}

#[test]
fn a_batch_smaller_than_the_workers_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let train = |name: &str, workers: u32, shards: &str| {
        small(&folder.path().join(name), workers)
            .with(&["--batch-size", "2", "--logical-shards", shards, "--max-steps", "5"])
            .with(&["--test-samples", "3"])
            .complete()
    };
    let (three, one) = (train("three", 3, "3"), train("one", 1, "3"));
    assert_eq!(three.hashes(&["checkpoints"]), one.hashes(&["checkpoints"]));
    // More workers than logical shards: some have nothing to do at all.
    let idle = train("idle", 4, "3");
    assert_eq!(idle.hashes(&["checkpoints"]), one.hashes(&["checkpoints"]));
}

#[test]
fn parameters_of_another_architecture_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("three.safetensors");
    std::fs::write(&file, formulas::initial_state(Network::Cnn, 3)).unwrap();
    let init_from = ["--init-from", file.to_str().unwrap()];
    let ending = small(&folder.path().join("run"), 2).with(&init_from).start().wait();
    assert_eq!(ending.code, Some(1), "{}", ending.printed);
    for expected in ["three.safetensors", "features.weight: expected [2, 1152], found [3, 1152]"] {
        assert!(ending.printed.contains(expected), "{}", ending.printed);
    }
}
