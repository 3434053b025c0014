//! What a network does to a run though nobody dies: workers that do not reach each other, and everybody asleep.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::*;

/// A worker that others are to reach at this address.
fn join_advertising(run: &mut Run, rank: u32, address: &str) -> Worker {
    let folder = run.root.parent().unwrap().to_path_buf();
    let (mark, coordinator, rank) = (run.mark.clone(), run.address(), rank.to_string());
    let flags = ["--rank", &rank, "--coordinator", &coordinator, "--advertise", address];
    Worker::start(&folder, &mark, &[&flags[..], &["--parallel", "1"]].concat())
}

fn events(root: &Path) -> String {
    std::fs::read_to_string(root.join("events.jsonl")).unwrap()
}

fn status(run: &mut Run) -> String {
    let asked = std::process::Command::new(programs::coordinator())
        .args(["status", "--coordinator", &run.address()])
        .output()
        .unwrap();
    String::from_utf8(asked.stdout).unwrap()
}

#[test]
fn a_newcomer_that_cannot_be_reached_is_set_aside_in_words_and_costs_no_step() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let mut run = disturbed(&root).with(&["--workers", "1", "--max-workers", "2"]).start();
    let zero = join_advertising(&mut run, 0, "127.0.0.1");
    run.wait_for_step(4);
    let one = join_advertising(&mut run, 1, "::1");
    wait_for_log(&mut run, "set aside");
    let said = status(&mut run);
    for part in ["is set aside", "::1", "IPv4", "--advertise"] {
        assert!(said.contains(part), "`{part}` is missing in {said}");
    }
    let ending = run.wait();
    assert_eq!(ending.code, Some(0), "{}", ending.printed);
    check_ended_well([zero, one]);
    let events = events(&root);
    assert_eq!(events.matches("\"kind\":\"generation\"").count(), 1, "{events}");
    check_equal(&root);
}

#[test]
fn while_the_way_between_workers_is_closed_they_wait_and_then_go_on_from_memory() {
    let Some(island) = Island::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let mut run = to_be_disturbed(barely(&root))
        .listening_at(&island.mainland)
        .with(&["--workers", "2", "--insecure", "--collective-timeout", "2"])
        .start();
    let port = run.address().rsplit_once(':').unwrap().1.parse().unwrap();
    let zero = Worker::join(&mut run, 0);
    let one = Worker::join_from_island(&island, &mut run, 1);
    run.wait_for_step(6);
    if !island.wall_off_but(port) {
        return;
    }
    wait_for_log(&mut run, "set aside");
    let said = status(&mut run);
    assert!(said.contains("does not reach") && said.contains("waiting for workers"), "{said}");
    std::thread::sleep(Duration::from_secs(1));
    island.open_but(port);
    let ending = run.wait();
    assert_eq!(ending.code, Some(0), "{}", ending.printed);
    check_ended_well([zero, one]);
    let events = events(&root);
    assert_eq!(events.matches("\"origin\":\"checkpoint\"").count(), 0, "{events}");
    let generations = events.matches("\"kind\":\"generation\"").count();
    assert!(generations <= 3, "no generation is tried that cannot be: {events}");
    check_equal(&root);
}

#[test]
fn when_all_have_slept_they_go_on_as_if_nothing_had_been() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let timing = ["--heartbeat-interval", "0.2", "--heartbeat-timeout", "1"];
    let mut run = disturbed(&root).with(&["--workers", "2"]).with(&timing).start();
    let workers = [0, 1].map(|rank| Worker::join(&mut run, rank));
    for (step, is_first_to_wake) in [(5, false), (15, true)] {
        run.wait_for_step(step);
        run.signal(Signal::SIGSTOP);
        workers.iter().for_each(|worker| worker.signal(Signal::SIGSTOP));
        std::thread::sleep(Duration::from_secs(5));
        if is_first_to_wake {
            run.signal(Signal::SIGCONT);
        }
        workers.iter().for_each(|worker| worker.signal(Signal::SIGCONT));
        run.signal(Signal::SIGCONT);
    }
    let ending = run.wait();
    assert_eq!(ending.code, Some(0), "{}", ending.printed);
    check_ended_well(workers);
    let events = events(&root);
    assert!(!events.contains("\"kind\":\"loss\""), "{events}");
    assert!(!events.contains("\"origin\":\"checkpoint\""), "{events}");
    check_equal(&root);
}

#[test]
fn a_run_that_ends_by_a_failure_has_stored_its_newest_state() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let rules = ["--workers", "2", "--max-generations", "0"];
    let mut run = to_be_disturbed(barely(&root)).with(&rules).start();
    let [_zero, one] = [0, 1].map(|rank| Worker::join(&mut run, rank));
    run.wait_for_step(6);
    one.signal(Signal::SIGKILL);
    let ending = run.wait();
    assert_eq!(ending.code, Some(1), "{}", ending.printed);
    assert!(ending.printed.contains("--max-generations allows 0"), "{}", ending.printed);
    drop(run);
    let ending = Launch::resume(&root).workers(1).start().wait();
    assert_eq!(ending.code, Some(0), "{}", ending.printed);
    let events = events(&root);
    let again = events.lines().rfind(|line| line.contains("\"kind\":\"generation\"")).unwrap();
    assert!(!again.contains("\"step\":0,"), "it goes on from where it was: {again}");
    check_equal(&root);
}
