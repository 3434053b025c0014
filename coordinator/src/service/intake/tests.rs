use clap::Args;
use common::config::layers;
use proto::worker_message::Message;
use proto::{Heartbeat, HeldState, Hello, Reached};

use super::*;
use crate::run_directory::ArtifactPath;

/// A run of 3 epochs of 10 steps.
fn intake(flags: &[&str], done: u64) -> Intake {
    let small = ["coordinator", "--batch-size", "10", "--epochs", "3"];
    let settings = Config::augment_args(clap::Command::new("coordinator"));
    let mut config: Config =
        layers::merge(&settings.get_matches_from(small.iter().chain(flags)), None).unwrap();
    config.resolve(2);
    let data = DataIdentity { train_samples: 97, test_samples: 23, ..DataIdentity::of_digits() };
    Intake::new(&config, &data, done)
}

fn is_heard(intake: &Intake, step: u64) -> bool {
    intake.tidy(Message::Heartbeat(Heartbeat { step, ..Heartbeat::default() })).is_ok()
}

#[test]
fn steps_are_those_of_the_run() {
    let new = intake(&[], 0);
    assert!(is_heard(&new, 30) && !is_heard(&new, 31));
    let short = intake(&["--max-steps", "12"], 0);
    assert!(is_heard(&short, 12) && !is_heard(&short, 13));
    // Its workers have done more by now than was written down.
    let shortened = intake(&["--max-steps", "12"], 25);
    assert!(is_heard(&shortened, 29) && !is_heard(&shortened, 36));
}

#[test]
fn a_state_that_the_run_cannot_have_got_to_is_another_runs() {
    let intake = intake(&[], 0);
    let is_kept = |step: u64, epochs: u64| {
        let reached = Some(Reached { step, epochs, ended: false });
        let held = Some(HeldState { reached, ..HeldState::default() });
        intake.check_hello(Hello { held, ..Hello::default() }).unwrap().held.is_some()
    };
    assert!(is_kept(30, 3) && !is_kept(31, 3) && !is_kept(30, 4) && !is_kept(u64::MAX, 0));
}

#[test]
fn a_position_is_within_its_epoch() {
    let intake = intake(&[], 0);
    for (epoch, within, step) in [(0, 0, 0), (0, 10, 10), (1, 0, 10), (2, 9, 29), (3, 0, 30)] {
        intake.check_position(epoch, within, step).unwrap();
    }
    for (epoch, within, step) in [(0, 11, 11), (1, 0, 11), (3, 1, 31), (u64::MAX, 1, 1)] {
        intake.check_position(epoch, within, step).unwrap_err();
    }
}

#[test]
fn what_a_worker_writes_is_not_too_long() {
    let check = |intake: &Intake, path: &str, length: u64, expected: bool| {
        let path = [ArtifactPath::parse(path).unwrap()];
        assert_eq!(intake.check_header(&path, length).is_ok(), expected, "{path:?} of {length}");
    };
    let parameters = 797_638;
    for (precision, size) in [("f32", 4), ("f64", 8)] {
        let intake = intake(&["--precision", precision, "--optimizer", "adam"], 0);
        let model = parameters * size + 10_000;
        check(&intake, "checkpoints/last.safetensors", model, true);
        check(&intake, "checkpoints/last.resume.safetensors", 2 * model + 97 * 18, true);
        check(&intake, "features/epoch=2.safetensors", 120 * (2 * size + 2) + 10_000, true);
        check(&intake, "checkpoints/last.safetensors", 20_000_000, false);
        check(&intake, "checkpoints/last.resume.safetensors", 40_000_000, false);
        check(&intake, "features/epoch=2.safetensors", 2_000_000, false);
    }
    let intake = intake(&["--picture-format", "svg,jpg"], 0);
    check(&intake, "pictures/curves.svg", 10_000_000, true);
    check(&intake, "pictures/features.gif", 1 << 30, false);
    check(&intake, "pictures/curves.png", 1000, false);
}

#[test]
fn a_file_stands_at_a_name_once() {
    let check = |paths: &[&str]| {
        let paths: Vec<_> = paths.iter().map(|path| ArtifactPath::parse(path).unwrap()).collect();
        intake(&[], 0).check_header(&paths, 1)
    };
    let (last, best) = ("checkpoints/last.safetensors", "checkpoints/best.safetensors");
    check(&[last, best]).unwrap();
    check(&[last, best, last]).unwrap_err();
}
