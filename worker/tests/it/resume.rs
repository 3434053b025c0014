//! A run that was ended and resumed, by whatever number of workers, is the run that never ended.

use std::path::Path;

use crate::harness::{Launch, Results, data, results::check_same};

/// Ten steps an epoch, two epochs, a checkpoint every four steps.
const SETTINGS: [&str; 18] = [
    "--train-samples",
    "196",
    "--test-samples",
    "100",
    "--test-batch-size",
    "64",
    "--batch-size",
    "20",
    "--lr",
    "0.001",
    "--checkpoint-every",
    "4",
    "--log-every",
    "1",
    "--picture-format",
    "png,jpg,svg",
    "--seed",
    "7",
];
const STEPS: &str = "20";

fn begin(root: &Path) -> Launch {
    Launch::new(root).with(&["--dataset", data::mnist()]).with(&SETTINGS)
}

/// The first part, up to `steps`, with two workers; then the rest with `workers`.
fn in_two_parts(root: &Path, steps: &str, workers: u32) -> Results {
    let first = begin(root).workers(2).with(&["--max-steps", steps]).complete();
    assert_eq!(first.steps().len().to_string(), steps);
    Launch::resume(root).workers(workers).with(&["--max-steps", STEPS]).complete()
}

#[test]
fn a_resumed_run_is_the_run_that_never_ended() {
    let folder = tempfile::tempdir().unwrap();
    let root = |name: &str| folder.path().join(name);
    let whole = begin(&root("whole")).workers(2).with(&["--max-steps", STEPS]).complete();
    assert_eq!(whole.metrics().len(), 22, "20 steps and 2 epochs");
    assert!(whole.path("pictures/features.gif").exists());
    check_ends_at_once(&root("whole"), &whole);

    let at_the_end_of_an_epoch = in_two_parts(&root("end"), "10", 3);
    check_same(&at_the_end_of_an_epoch, &whole, "resumed at the end of an epoch");
    let within_an_epoch = in_two_parts(&root("within"), "13", 1);
    check_same(&within_an_epoch, &whole, "resumed within an epoch");

    kill_everything(&root("killed"));
    let killed = Launch::resume(&root("killed")).workers(4).complete();
    check_same(&killed, &whole, "killed within an epoch");
}

/// A finished run needs no worker to say what its first end said.
fn check_ends_at_once(root: &Path, whole: &Results) {
    let before = whole.hashes(&["checkpoints", "features", "pictures"]);
    let ending = Launch::resume(root).workers(2).start().wait();
    assert_eq!(ending.code, Some(0), "{}", ending.printed);
    let accuracy = whole.metrics().last().unwrap()["test_accuracy"].as_f64().unwrap();
    for expected in [
        "training finished, at step 20 of 20".to_string(),
        format!("test accuracy {:.2} % after epoch 1", 100.0 * accuracy),
        " from start to end".to_string(),
    ] {
        assert!(ending.printed.contains(&expected), "{expected} is missing in\n{}", ending.printed);
    }
    assert!(!ending.printed.contains("starting a worker"), "{}", ending.printed);
    assert_eq!(whole.hashes(&["checkpoints", "features", "pictures"]), before);
}

/// A run that ends as by a power cut, its last checkpoint some steps behind.
fn kill_everything(root: &Path) {
    let mut run = begin(root).workers(2).with(&["--max-steps", STEPS]).start();
    run.wait_for_step(13);
    run.mark.kill();
    assert_eq!(run.wait().code, None, "a signal ended it");
    let killed = Results::of(root);
    let last_step = killed.steps().last().unwrap()["step"].as_u64().unwrap();
    assert_eq!(killed.steps_done("last"), Some(12));
    assert!((13..16).contains(&last_step), "killed after step {last_step}");
}
