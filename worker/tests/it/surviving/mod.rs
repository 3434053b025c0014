//! Losses of every kind in real runs: whatever dies, the files are those of the undisturbed run, byte for byte.

mod outages;

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use crate::harness::results::Left;
use crate::harness::{Island, Launch, Results, Run, Wire, Worker, data, programs};

/// Two epochs of twenty steps, in four logical shards.
fn launch(root: &Path) -> Launch {
    barely(root).with(&["--min-workers", "1", "--checkpoint-every", "7"])
}

/// The same where all workers are needed, and no checkpoint is stored before an epoch ends.
fn barely(root: &Path) -> Launch {
    Launch::new(root)
        .with(&["--dataset", data::mnist(), "--train-samples", "400", "--test-samples", "50"])
        .with(&["--batch-size", "20", "--epochs", "2", "--log-every", "1", "--logical-shards", "4"])
        .with(&["--threads", "1"])
}

/// What the run leaves that nothing disturbs. Made once.
static UNDISTURBED: LazyLock<Left> =
    LazyLock::new(|| Left::by(|folder| launch(&folder.join("undisturbed")).workers(1)));

/// To be disturbed.
fn disturbed(root: &Path) -> Launch {
    to_be_disturbed(launch(root))
}

fn to_be_disturbed(launch: Launch) -> Launch {
    // Before it is this test's turn to run something: the other run needs one, too.
    LazyLock::force(&UNDISTURBED);
    launch
}

/// What a disturbed run has left is what the undisturbed one has, and its ledger proves that nothing is missing.
fn check_equal(root: &Path) {
    UNDISTURBED.check(&Results::of(root), "disturbed");
    let audit = std::process::Command::new(programs::coordinator())
        .arg("audit")
        .arg(root)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&audit.stdout).into_owned();
    assert!(audit.status.success() && said.contains("2 epochs used each of 400"), "{said}");
}

/// Until the coordinator's log has this.
fn wait_for_log(run: &mut Run, text: &str) {
    let log = run.root.join("coordinator.log");
    run.wait_for(text, || std::fs::read_to_string(&log).ok()?.contains(text).then_some(()));
}

fn wait_for_eviction(run: &mut Run) {
    wait_for_log(run, "has not been heard from");
}

fn check_ended_well<const N: usize>(workers: [Worker; N]) {
    for worker in workers {
        let ending = worker.wait();
        assert_eq!(ending.code, Some(0), "{}", ending.printed);
    }
}

/// A worker that was evicted has joined again, or tried to when the run was over already.
fn check_came_back(worker: Worker) {
    let ending = worker.wait();
    let came_back = ending.code == Some(0) || ending.printed.contains("joining anew");
    assert!(came_back, "{}", ending.printed);
}

#[test]
fn a_hung_worker_is_evicted_and_learns_it_when_it_wakes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let timing = ["--heartbeat-interval", "0.2", "--heartbeat-timeout", "1"];
    let mut run = disturbed(&root).with(&["--workers", "3"]).with(&timing).start();
    let [zero, one, two] = [0, 1, 2].map(|rank| Worker::join(&mut run, rank));
    run.wait_for_step(6);
    one.signal(Signal::SIGSTOP);
    wait_for_eviction(&mut run);
    run.wait_for_step(12);
    one.signal(Signal::SIGCONT);
    let ending = run.wait();
    assert_eq!(ending.code, Some(0), "{}", ending.printed);
    check_ended_well([zero, two]);
    check_came_back(one);
    check_equal(&root);
}

#[test]
fn a_worker_whose_trainer_alone_hangs_is_noticed_by_its_peers() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let ending = disturbed(&root)
        .workers(3)
        .with(&["--collective-timeout", "3"])
        .with_fault("generation=1,rank=1,step=8,phase=backward,action=freeze")
        .start()
        .wait();
    assert_eq!(ending.code, Some(0), "{}", ending.printed);
    let frozen = std::fs::read_to_string(root.join("logs/worker-1.log")).unwrap();
    assert!(frozen.contains("its trainer did not leave the generation"), "{frozen}");
    let events = std::fs::read_to_string(root.join("events.jsonl")).unwrap();
    assert_eq!(events.matches("\"kind\":\"loss\"").count(), 1, "{events}");
    check_equal(&root);
}

#[test]
fn a_worker_cut_off_from_the_coordinator_alone_does_not_split_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let timing = ["--heartbeat-interval", "0.2", "--heartbeat-timeout", "1"];
    let mut run = disturbed(&root).with(&["--workers", "3"]).with(&timing).start();
    let wire = Wire::to(&run.address());
    let zero = Worker::join(&mut run, 0);
    let one = Worker::join_at(&run, 1, wire.address());
    let two = Worker::join(&mut run, 2);
    run.wait_for_step(6);
    // Its peers hear it as before.
    wire.cut();
    wait_for_eviction(&mut run);
    one.wait_for("it was silent for 1s");
    run.wait_for_step(20);
    wire.mend();
    let ending = run.wait();
    assert_eq!(ending.code, Some(0), "{}", ending.printed);
    check_ended_well([zero, two]);
    check_came_back(one);
    check_equal(&root);
}

#[test]
fn a_worker_whose_cable_is_pulled_is_evicted_and_comes_back_as_new() {
    let Some(island) = Island::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let timing = ["--heartbeat-interval", "0.2", "--heartbeat-timeout", "1"];
    let mut run = disturbed(&root)
        .listening_at(&island.mainland)
        .with(&["--workers", "3", "--insecure"])
        .with(&timing)
        .start();
    let [zero, two] = [0, 2].map(|rank| Worker::join(&mut run, rank));
    let one = Worker::join_from_island(&island, &mut run, 1);
    run.wait_for_step(6);
    island.cut();
    wait_for_eviction(&mut run);
    run.wait_for_step(12);
    island.mend();
    let ending = run.wait();
    assert_eq!(ending.code, Some(0), "{}", ending.printed);
    check_ended_well([zero, two]);
    check_came_back(one);
    check_equal(&root);
}

#[test]
fn a_worker_that_comes_back_after_the_last_step_learns_that_the_run_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let mut run = disturbed(&root).with(&["--workers", "2"]).start();
    let [zero, one] = [0, 1].map(|rank| Worker::join(&mut run, rank));
    run.wait_for_step(6);
    one.signal(Signal::SIGKILL);
    wait_for_log(&mut run, "telling missing workers");
    let late = Worker::join(&mut run, 1).wait();
    assert_eq!(late.code, Some(0), "{}", late.printed);
    assert!(late.printed.contains("there is nothing left to do"), "{}", late.printed);
    assert_eq!(run.wait().code, Some(0));
    check_ended_well([zero]);
    check_equal(&root);
}

#[test]
fn two_at_once_and_all_but_one_may_die() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let mut run = disturbed(&root).workers(4).start();
    for (step, victims) in [(5, &[1, 2][..]), (14, &[0, 3]), (23, &[0, 1, 2]), (31, &[1, 2, 3])] {
        run.wait_for_step(step);
        let victims: Vec<_> = victims.iter().map(|rank| run.worker(*rank)).collect();
        for victim in victims {
            kill(victim, Signal::SIGKILL).unwrap();
        }
    }
    let ending = run.wait();
    assert_eq!(ending.code, Some(0), "{}", ending.printed);
    let events = std::fs::read_to_string(root.join("events.jsonl")).unwrap();
    assert!(events.matches("\"kind\":\"loss\"").count() >= 4, "{events}");
    check_equal(&root);
}

#[test]
fn a_checkpoint_with_a_flipped_byte_is_refused_for_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let stopped = disturbed(&root).workers(1).with(&["--max-steps", "27"]).complete();
    let last = stopped.path("checkpoints/last.safetensors");
    let mut content = std::fs::read(&last).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    // Not in place: the epoch's checkpoint is another name of the same file.
    std::fs::remove_file(&last).unwrap();
    std::fs::write(&last, content).unwrap();
    std::fs::remove_file(stopped.path("checkpoints/epoch=1.safetensors")).unwrap();
    let ending = Launch::resume(&root).workers(2).with(&["--max-steps", "40"]).start().wait();
    assert_eq!(ending.code, Some(0), "{}", ending.printed);
    assert!(ending.printed.contains("last.safetensors is damaged"), "{}", ending.printed);
    check_equal(&root);
}

#[test]
fn a_killed_coordinator_is_taken_over_from_with_its_workers_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let mut run = disturbed(&root).workers(3).start();
    run.wait_for_step(9);
    run.replace_coordinator(&[]);
    run.wait_for_step(25);
    // And once more, together with the first rank.
    let first = run.worker(0);
    kill(first, Signal::SIGKILL).unwrap();
    run.replace_coordinator(&[]);
    let ending = run.wait();
    assert_eq!(ending.code, Some(0), "{}", ending.printed);
    let events = std::fs::read_to_string(root.join("events.jsonl")).unwrap();
    assert!(!events.contains("\"origin\":\"checkpoint\""), "no way back to a checkpoint: {events}");
    check_equal(&root);
}

#[test]
fn when_all_are_gone_the_last_checkpoint_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let mut run = disturbed(&root).workers(2).start();
    run.wait_for_step(16);
    for rank in [0, 1] {
        let worker = run.worker(rank);
        kill(worker, Signal::SIGKILL).unwrap();
    }
    run.wait_for_step(24);
    // The coordinator and all workers at once.
    drop(run);
    let ending = Launch::resume(&root).workers(2).start().wait();
    assert_eq!(ending.code, Some(0), "{}", ending.printed);
    let events = std::fs::read_to_string(root.join("events.jsonl")).unwrap();
    assert_eq!(events.matches("\"origin\":\"checkpoint\"").count(), 2, "{events}");
    check_equal(&root);
}

#[test]
fn the_number_of_workers_may_change_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let mut run = disturbed(&root).workers(4).with(&["--max-workers", "5"]).start();
    let address = run.address();
    let scale = |workers: &str| {
        let asked = std::process::Command::new(programs::coordinator())
            .args(["scale", workers, "--coordinator", &address])
            .output()
            .unwrap();
        assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    };
    let world_sizes = || -> Vec<usize> {
        let events = std::fs::read_to_string(root.join("events.jsonl")).unwrap_or_default();
        let generations = events.lines().filter(|line| line.contains("\"kind\":\"generation\""));
        generations.map(|line| line.matches("\"slot\"").count()).collect()
    };
    let mut seen = 4;
    // More workers early: the others go on while they start, and must not arrive before them.
    for (step, workers) in [(2, 1), (4, 3), (16, 5), (24, 2)] {
        run.wait_for_step(step);
        scale(&workers.to_string());
        // Of five only four take part: there are four logical shards.
        seen = workers.min(4);
        run.wait_for("the next generation", || (world_sizes().last() == Some(&seen)).then_some(()));
    }
    assert_eq!(seen, 2);
    let ending = run.wait();
    assert_eq!(ending.code, Some(0), "{}", ending.printed);
    check_equal(&root);
}

#[test]
fn a_terminated_worker_finishes_its_step_and_leaves_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let mut run = disturbed(&root).with(&["--workers", "2"]).start();
    let [zero, one] = [0, 1].map(|rank| Worker::join(&mut run, rank));
    run.wait_for_step(6);
    zero.signal(Signal::SIGTERM);
    let left = zero.wait();
    assert_eq!(left.code, Some(0), "{}", left.printed);
    run.wait_for_step(12);
    // The last one stores the state, and the run waits for another.
    one.signal(Signal::SIGTERM);
    let left = one.wait();
    assert_eq!(left.code, Some(0), "{}", left.printed);
    std::thread::sleep(Duration::from_millis(200));
    let late = Worker::join(&mut run, 1);
    let ending = run.wait();
    assert_eq!(ending.code, Some(0), "{}", ending.printed);
    assert_eq!(late.wait().code, Some(0));
    let events = std::fs::read_to_string(root.join("events.jsonl")).unwrap();
    assert!(!events.contains("\"kind\":\"loss\""), "{events}");
    check_equal(&root);
}
