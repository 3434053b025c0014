//! `coordinator replay`, as a user types it: what a run has left is computed again, and what differs is named.

use std::path::Path;

use crate::harness::{Ending, Launch, Results};

/// Three epochs of ten steps; a worker dies in the second.
fn run(root: &Path) -> Results {
    Launch::new(root)
        .with(&["--dataset", "synthetic", "--train-samples", "200", "--test-samples", "20"])
        .with(&["--batch-size", "20", "--epochs", "3", "--logical-shards", "2"])
        .with(&["--log-every", "4", "--lr-schedule", "cosine", "--threads", "1"])
        .with_fault("generation=1,rank=1,step=13,phase=backward,action=kill")
        .workers(2)
        .complete()
}

fn replay(run: &Path, asked: &[&str]) -> Ending {
    let folder = tempfile::tempdir().unwrap();
    let mut replay = Launch::replay(run, &folder.path().join("again")).with(asked).start();
    let ending = replay.wait();
    assert!(replay.mark.living(&[]).is_empty(), "nothing may outlive it");
    ending
}

fn check(ending: &Ending, code: i32, expected: &[&str]) {
    assert_eq!(ending.code, Some(code), "{}", ending.printed);
    for expected in expected {
        assert!(
            ending.printed.contains(expected),
            "`{expected}` is missing in\n{}",
            ending.printed
        );
    }
}

#[test]
fn what_a_run_has_left_is_computed_again_and_what_differs_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let results = run(&root);
    let whole = replay(&root, &["--workers", "2"]);
    let checkpoints =
        ["epoch=0", "epoch=1", "epoch=2"].map(|stem| format!("the checkpoint {stem}"));
    let equal = "equal: 8 recorded steps, each in all of 75 tensors";
    check(&whole, 0, &[equal, &checkpoints[0], &checkpoints[1], &checkpoints[2]]);
    let stretch = replay(&root, &["--from", "epoch=0", "--to", "20"]);
    check(&stretch, 0, &["steps 10 to 20 again, from the checkpoint epoch=0", "equal: 2 recorded"]);

    // As if a bit had flipped in the memory of all while the run went on.
    let digests = results.path("digests.jsonl");
    let text = std::fs::read_to_string(&digests).unwrap();
    let spoilt = text.lines().map(|line| {
        let is_later =
            !["0", "4", "8", "12"].iter().any(|s| line.contains(&format!("\"step\":{s},")));
        let (before, after) = line.split_once("\"features.bias\":\"").unwrap();
        let digit = if after.starts_with('0') { "1" } else { "0" };
        match is_later {
            true => format!("{before}\"features.bias\":\"{digit}{}\n", &after[1..]),
            false => format!("{line}\n"),
        }
    });
    let spoilt: String = spoilt.collect();
    std::fs::write(&digests, spoilt).unwrap();
    let found = replay(&root, &["--from", "epoch=0"]);
    let expected =
        "different: from step 16 on, in 1 of 75 tensors (features.bias); it is equal up to step 12";
    check(&found, 1, &[expected, "What was computed again is in"]);
}

#[test]
fn what_is_no_stretch_of_a_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    run(&root);
    for (asked, expected) in [
        (&["--from", "20", "--to", "20"][..], "that is no stretch of a run"),
        (&["--to", "31"], "the run has done 30"),
        (&["--from", "13", "--to", "13"], "that is no stretch"),
        (&["--from", "epoch=x"], "`epoch=x` is no place in a run"),
    ] {
        let refused = replay(&root, asked);
        assert_ne!(refused.code, Some(0), "{}", refused.printed);
        assert!(refused.printed.contains(expected), "{}", refused.printed);
    }
    let nothing = replay(folder.path(), &[]);
    check(&nothing, 1, &["there is no run in"]);
}
