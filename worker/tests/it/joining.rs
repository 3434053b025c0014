//! Workers that cannot join are told why, and the run they wanted to join goes on undisturbed.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use worker::machine::cpus::allotment::Allotment;
use worker::machine::hardware;

use crate::harness::processes::Mark;
use crate::harness::{Ending, Island, Launch, Results, Run, Worker, data};

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
            "--rejoin-timeout",
            "2",
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

/// Whoever accepts a connection and says nothing is waited for, for seconds; a signal is not.
#[test]
fn a_worker_that_looks_for_a_silent_coordinator_ends_at_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", silent.local_addr().unwrap());
        let worker = Worker::start(folder.path(), &Mark::new(), &["--coordinator", &address]);
        let _connection = silent.accept().unwrap();
        worker.signal(signal);
        let signalled = Instant::now();
        let ending = worker.wait();
        assert!(signalled.elapsed() < Duration::from_secs(1), "{:?}", signalled.elapsed());
        check_refused(&ending, "while looking for the coordinator");
        assert!(ending.printed.contains(signal.as_str()), "{}", ending.printed);
    }
}

/// The name of the coordinator, and with it the address at which others reach the worker, is known later than the worker
/// starts.
#[test]
fn a_name_that_is_not_known_yet_is_waited_for() {
    let Some(island) = Island::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut run = Launch::new(&folder.path().join("run"))
        .listening_at(&island.mainland)
        .with(&["--workers", "2", "--insecure", "--dataset", "synthetic", "--max-generations", "0"])
        .with(&["--train-samples", "60", "--test-samples", "0", "--batch-size", "20"])
        .with(&["--epochs", "1", "--threads", "1"])
        .start();
    let address = run.address();
    island.know("127.0.0.1 localhost\n");
    let named = address.replace(&island.mainland, "coordinator.test");
    let early = Worker::look_from_island(&island, &run, &named);
    run.wait_for("its first attempt", || {
        early.printed().contains("waiting for the coordinator").then_some(())
    });
    island.know(&format!("127.0.0.1 localhost\n{} coordinator.test\n", island.mainland));
    let other = Worker::join(&mut run, 1);
    // Had it told the others to look for it at 127.0.0.1, they would not have met.
    let ending = run.wait();
    assert_eq!(ending.code, Some(0), "{}", ending.printed);
    for worker in [early, other] {
        let ending = worker.wait();
        assert_eq!(ending.code, Some(0), "{}", ending.printed);
    }
}

/// A worker that cannot listen where it says that it can be reached is of no use, and says so; the others go on.
#[test]
fn an_advertised_address_that_is_elsewhere_is_this_workers_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = waiting(&folder, "2");
    let right = Worker::join(&mut run, 0);
    let address = run.address();
    let second = ["--rank", "1", "--coordinator", &address, "--parallel", "1"];
    let elsewhere = [&second[..], &["--advertise", "192.0.2.1"]].concat();
    let wrong = Worker::start(folder.path(), &run.mark, &elsewhere).wait();
    check_refused(&wrong, "this worker cannot listen at 192.0.2.1");
    let another = Worker::start(folder.path(), &run.mark, &second);
    check_undisturbed(run, vec![right, another]);
}

#[test]
fn workers_without_a_rank_share_the_slots() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = waiting(&folder, "3");
    let address = run.address();
    let flags = ["--coordinator", &address, "--parallel", "1"];
    let start = || Worker::start(folder.path(), &run.mark, &flags);
    let workers: Vec<Worker> = [start(), start(), start()].into();
    run.wait_for_step(2);
    check_refused(&start_one_more(&run, &flags), "each of the run's 3 slots has a worker");
    let mut slots: Vec<String> = workers.iter().map(|worker| given(&worker.printed())).collect();
    slots.sort_unstable();
    assert_eq!(slots, ["0", "1", "2"]);
    check_undisturbed(run, workers);
}

#[test]
fn workers_of_one_machine_compute_on_shares_of_it() {
    if hardware::machine().is_empty() || Allotment::of_this_process().cpus.len() < 2 {
        eprintln!("skipped: there is one core here, or nothing tells which machine this is");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut run = waiting(&folder, "2");
    let address = run.address();
    let flags = ["--coordinator", &address, "--cpu-bind", "cores"];
    let start = || Worker::start(folder.path(), &run.mark, &flags);
    let workers: Vec<Worker> = [start(), start()].into();
    run.wait_for_step(2);
    let share =
        |worker: &Worker| said_of(&worker.printed(), "computing on this worker's share", "cpus=");
    assert_ne!(share(&workers[0]), share(&workers[1]));
    let cores = Allotment::of_this_process().cores;
    for worker in &workers {
        let parallel = said_of(&worker.printed(), "starting", "parallel=");
        // Of the four logical shards a worker has at most all.
        assert_eq!(parallel, (cores / 2).clamp(1, 4).to_string());
    }
    check_undisturbed(run, workers);
}

fn start_one_more(run: &Run, flags: &[&str]) -> Ending {
    let folder = run.root.parent().expect("a run lies in a test's folder");
    Worker::start(folder, &run.mark, flags).wait()
}

/// The slot that a worker says it was given.
fn given(printed: &str) -> String {
    said_of(printed, "was given this slot", "slot=")
}

/// What follows `name` at the end of the line that says `what`.
fn said_of(printed: &str, what: &str, name: &str) -> String {
    let line = printed.lines().find(|line| line.contains(what)).expect(printed);
    line.rsplit_once(name).expect(line).1.trim().to_string()
}
