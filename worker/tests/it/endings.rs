//! Runs that do not reach their last step: every side learns why, and nothing that was stored is lost.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use crate::harness::{Launch, Results, Worker, data};

/// How soon every side must know of a death.
const SOON: Duration = Duration::from_secs(10);

/// A run that survives nothing.
const FRAGILE: [&str; 4] = ["--checkpoint-every", "5", "--max-generations", "0"];

/// A run too long to be waited for, twenty steps an epoch.
fn long(root: &Path) -> Launch {
    Launch::new(root)
        .with(&["--dataset", data::mnist(), "--train-samples", "400", "--test-samples", "50"])
        .with(&["--batch-size", "20", "--log-every", "1"])
}

/// Of the rank that was lost after step 6, and of a checkpoint that the others have stored since.
fn check_tells_of(printed: &str, rank: &str) {
    let stored = printed.split_once("checkpoints/last.safetensors (epoch 0, step ");
    let step = stored.and_then(|(_, rest)| rest.split_once(')')?.0.parse::<u64>().ok());
    assert!(printed.contains(rank) && step >= Some(6), "{rank}, {step:?} in\n{printed}");
}

#[test]
fn a_loss_that_is_not_survived_ends_the_run_on_every_side() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = long(&folder.path().join("run")).with(&FRAGILE).with(&["--workers", "3"]).start();
    let [zero, one, two] = [0, 1, 2].map(|rank| Worker::join(&mut run, rank));
    run.wait_for_step(6);
    one.signal(Signal::SIGKILL);
    let killed = Instant::now();
    for ending in [run.wait(), zero.wait(), two.wait()] {
        assert_eq!(ending.code, Some(1), "{}", ending.printed);
        check_tells_of(&ending.printed, "rank 1");
    }
    assert!(killed.elapsed() < SOON, "{:?}", killed.elapsed());
    drop(one);
    assert!(run.mark.living(&[]).is_empty());
}

#[test]
fn the_loss_of_a_worker_that_the_coordinator_started_does_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = long(&folder.path().join("run")).with(&FRAGILE).workers(2).start();
    run.wait_for_step(6);
    let [pid] = run.mark.living(&["--rank", "0"])[..] else { panic!("one worker has rank 0") };
    kill(pid, Signal::SIGKILL).unwrap();
    let killed = Instant::now();
    let ending = run.wait();
    assert!(killed.elapsed() < SOON, "{:?}", killed.elapsed());
    assert_eq!(ending.code, Some(1), "{}", ending.printed);
    check_tells_of(&ending.printed, "rank 0");
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_at_its_step() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let flags = ["--lr", "1e30", "--checkpoint-every", "1"];
    let ending = long(&root).workers(2).with(&flags).start().wait();
    assert_eq!(ending.code, Some(1), "{}", ending.printed);
    let results = Results::of(&root);
    let steps = results.steps().len() as u64;
    let message = format!("at step {steps} (epoch 0)");
    assert!(ending.printed.contains("the loss is"), "{}", ending.printed);
    assert!(ending.printed.contains(&message), "{message} is missing in\n{}", ending.printed);
    assert_eq!(results.steps_done("last"), Some(steps), "the step before is kept");
    let advice = "from which any run would end alike: begin again";
    assert!(ending.printed.contains(advice), "{advice} is missing in\n{}", ending.printed);
    assert!(!ending.printed.contains("--resume"), "it would end alike\n{}", ending.printed);
    for (name, values) in results.model("last") {
        assert!(values.iter().all(|value| value.is_finite()), "{name}");
    }
}

#[test]
fn parameters_that_are_no_numbers_are_never_stored() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    // The loss of the first step is a number, what the step makes of the parameters is not.
    let flags = ["--lr", "1e39", "--checkpoint-every", "1"];
    let ending = long(&root).workers(2).with(&flags).start().wait();
    assert_eq!(ending.code, Some(1), "{}", ending.printed);
    let message = "step 0 (epoch 0) has left parameters that are no finite numbers";
    assert!(ending.printed.contains(message), "{}", ending.printed);
    // What is kept is the state before that step.
    let results = Results::of(&root);
    assert_eq!(results.steps_done("last"), Some(0));
    assert!(results.model("last").values().flatten().all(|number| number.is_finite()));
}

#[test]
fn an_interrupted_run_keeps_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let mut run = long(&root).workers(2).start();
    run.wait_for_step(23);
    run.signal(Signal::SIGINT);
    let ending = run.wait();
    assert_eq!(ending.code, Some(130), "{}", ending.printed);
    let results = Results::of(&root);
    let done = results.steps_done("last").unwrap();
    assert!((24..40).contains(&done), "stopped after {done} steps");
    assert_eq!(results.steps().len() as u64, done, "nothing that was done is lost");
    for picture in ["epoch=0.png", "curves.png", "confusion.png", "features.gif"] {
        assert!(results.path("pictures").join(picture).exists(), "{picture}");
    }
    let resumed = Launch::resume(&root).workers(1).with(&["--max-steps", "40"]).complete();
    let whole = folder.path().join("whole");
    let whole = long(&whole).workers(1).with(&["--max-steps", "40"]).complete();
    let folders = ["checkpoints", "features", "pictures"];
    assert_eq!(resumed.hashes(&folders), whole.hashes(&folders));
    assert_eq!(resumed.reproducible_metrics(), whole.reproducible_metrics());
}

/// As Ctrl-C in a terminal, or a service manager, sends it: to the coordinator and its workers together.
#[test]
fn a_signal_to_everybody_ends_the_run_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let whole = long(&folder.path().join("whole")).workers(1).with(&["--max-steps", "24"]);
    let whole = whole.complete();
    for (signal, step, code) in [(Signal::SIGTERM, 7, 143), (Signal::SIGINT, 13, 130)] {
        let root = folder.path().join(signal.as_str());
        let mut run = long(&root).workers(3).with(&["--max-steps", "24"]).start();
        run.wait_for_step(step);
        for process in run.mark.living(&[]) {
            kill(process, signal).ok();
        }
        let ending = run.wait();
        assert_eq!(ending.code, Some(code), "{}", ending.printed);
        let results = Results::of(&root);
        let done = results.steps_done("last").unwrap();
        assert!(done > step, "{done} steps are stored");
        assert_eq!(results.steps().len() as u64, done, "nothing that was done is lost");
        let last = format!("at step {done} of 24");
        assert!(ending.printed.contains(&last), "{last} is missing in\n{}", ending.printed);
        let resumed = Launch::resume(&root).workers(2).complete();
        assert_eq!(resumed.hashes(&["checkpoints"]), whole.hashes(&["checkpoints"]));
    }
}

#[test]
fn tf32_is_refused_on_a_cpu() {
    let folder = tempfile::tempdir().unwrap();
    let run = long(&folder.path().join("run")).with(&["--precision", "tf32"]).workers(2);
    let ending = run.start().wait();
    assert_eq!(ending.code, Some(1), "{}", ending.printed);
    assert!(ending.printed.contains("--precision f32 or bf16"), "{}", ending.printed);
}
