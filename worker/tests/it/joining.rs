//! Workers that cannot join are told why, and the run they wanted to join goes on undisturbed.

use std::time::{Duration, Instant};

use crate::harness::processes::Mark;
use crate::harness::{Ending, Launch, Results, Run, Worker, data};

/// A run for workers by hand, long enough to be joined in its midst.
fn waiting(folder: &tempfile::TempDir, workers: &str) -> Run {
    Launch::new(&folder.path().join("run"))
        .with(&["--workers", workers, "--dataset", data::mnist(), "--test-samples", "0"])
        .with(&[
            "--train-samples",
            "600",
            "--batch-size",
            "20",
            "--epochs",
            "1",
            "--log-every",
            "1",
        ])
        .start()
}

fn check_refused(ending: &Ending, expected: &str) {
    assert_eq!(ending.code, Some(1), "{}", ending.printed);
    assert!(ending.printed.contains(expected), "{}", ending.printed);
}

/// The run ends well, all its steps done.
fn check_undisturbed(mut run: Run, workers: Vec<Worker>) {
    let results = Results::of(&run.root);
    let ending = run.wait();
    assert_eq!(ending.code, Some(0), "{}", ending.printed);
    for worker in workers {
        let ending = worker.wait();
        assert_eq!(ending.code, Some(0), "{}", ending.printed);
    }
    assert_eq!(results.steps().len(), 30);
}

#[test]
fn a_rank_beyond_the_workers_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = waiting(&folder, "2");
    let refused = Worker::join(&mut run, 2).wait();
    check_refused(&refused, "--rank 2 is out of range: this run has 2 workers, so ranks are 0…1");
    let workers = [0, 1].map(|rank| Worker::join(&mut run, rank)).into();
    check_undisturbed(run, workers);
}

#[test]
fn a_slot_whose_holder_answers_is_not_given_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = waiting(&folder, "2");
    let first = Worker::join(&mut run, 0);
    let log = run.root.join("coordinator.log");
    run.wait_for("the first worker", || {
        std::fs::read_to_string(&log).ok()?.contains("joined").then_some(())
    });
    // While the others are waited for…
    check_refused(&Worker::join(&mut run, 0).wait(), "slot 0 is held by a worker");
    let second = Worker::join(&mut run, 1);
    run.wait_for_step(3);
    // …and in the midst of training.
    check_refused(&Worker::join(&mut run, 1).wait(), "slot 1 is held by a worker");
    check_undisturbed(run, vec![first, second]);
}

#[test]
fn a_worker_without_a_coordinator_says_where_it_looked() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = "http://127.0.0.1:9";
    let flags = ["--rank", "0", "--coordinator", nobody, "--connect-timeout", "1"];
    let started = Instant::now();
    let ending = Worker::start(folder.path(), &Mark::new(), &flags).wait();
    assert!(started.elapsed() < Duration::from_secs(10));
    check_refused(&ending, "no coordinator at http://127.0.0.1:9/ within 1s");
    assert!(ending.printed.contains("--coordinator"), "{}", ending.printed);
}
