//! `coordinator verify`, as a user types it.

use std::path::Path;

use crate::harness::{Ending, Launch, data};

/// Verifies two workers; `asked` goes before the settings of the runs.
fn verify(root: &Path, asked: &[&str]) -> Ending {
    let mut run = Launch::verify(root)
        .with(&["--workers", "2"])
        .with(asked)
        .with(&["--", "--dataset", data::mnist(), "--train-samples", "120", "--batch-size", "10"])
        .with(&["--logical-shards", "2", "--threads", "1"])
        .start();
    let ending = run.wait();
    assert!(run.mark.living(&[]).is_empty(), "nothing may outlive it");
    ending
}

#[test]
fn the_proof_holds_while_workers_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("verify");
    let Ending { code, printed } =
        verify(&root, &["--steps", "40", "--kills", "2", "--seed-of-kills", "3"]);
    assert_eq!(code, Some(0), "{printed}");
    for expected in [
        "kills are drawn by --seed-of-kills 3",
        "killing worker",
        "The result does not depend on the workers: 2 of them, 2 kills in each run,",
    ] {
        assert!(printed.contains(expected), "`{expected}` is missing in\n{printed}");
    }
    let events = std::fs::read_to_string(root.join("f32-2/events.jsonl")).unwrap();
    assert_eq!(events.matches("\"kind\":\"loss\"").count(), 2, "{events}");
}

#[test]
fn what_was_not_proven_shows_in_sentence_and_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    // The run is over before so many workers have been killed.
    let Ending { code, printed } =
        verify(&folder.path().join("verify"), &["--steps", "1", "--kills", "4"]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("NOT proven") && printed.contains("give more --steps"), "{printed}");
}
