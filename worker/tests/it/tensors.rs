//! Steps that a device is asked for ahead of time: what they compute is the reference, whoever computes it and whoever is
//! lost meanwhile. On the CPU always, with the code that a GPU runs; on a GPU where there is one.

use std::path::Path;
use std::sync::LazyLock;

use crate::harness::expected::{Difference, EXPECTED};
use crate::harness::{Launch, data, results::Left};
use crate::reference;

/// The first GPU, where CUDA shows one; says so where it does not.
pub fn gpu() -> Option<&'static str> {
    let found = worker::bridge::cuda::has_gpu();
    if !found {
        eprintln!("SKIPPED: there is no GPU here, nothing was tested on one");
    }
    found.then_some("cuda:0")
}

const CASES: [&str; 7] =
    ["short-last-batch", "wen", "adam", "mlp-wen-adam", "mlp", "softmax", "batch-100"];

fn check_reference(device: &str, cases: &[&str]) {
    for name in cases {
        let (case, folder) = (&EXPECTED.cases[*name], tempfile::tempdir().unwrap());
        let launch = reference::launch(folder.path(), case).on_one_core().with_tensors_on(device);
        let Difference(difference, place) = case.largest_difference(&launch.complete());
        eprintln!("{name} on {device}: {difference:.1e} at the {place}");
        assert!(difference < 1e-10, "{name}: {difference:e} at the {place}");
    }
    reference::check_float32("batch-100", |launch| launch.with_tensors_on(device));
}

/// Two epochs of eleven steps, the last of each a short one.
pub fn launch(folder: &Path, name: &str, device: &str) -> Launch {
    Launch::new(&folder.join(name))
        .with(&["--dataset", data::mnist(), "--train-samples", "85", "--test-samples", "20"])
        .with(&["--batch-size", "8", "--epochs", "2", "--log-every", "1"])
        .with(&["--checkpoint-every", "3"])
        .with_tensors_on(device)
}

/// What one worker leaves of it on a device.
fn left_by_one(device: &str) -> Left {
    Left::by(|folder| launch(folder, "one", device).on_one_core())
}

/// The same on a CPU, made once.
pub static UNDISTURBED: LazyLock<Left> = LazyLock::new(|| left_by_one("cpu"));

fn check_any_number_of_workers(device: &str, expected: &Left) {
    let folder = tempfile::tempdir().unwrap();
    for workers in [2, 4] {
        let name = format!("{workers}");
        let found = launch(folder.path(), &name, device).workers(workers).complete();
        expected.check(&found, &format!("{workers} workers on {device}"));
    }
}

#[test]
fn a_cpus_tensors_compute_the_reference() {
    // The others have no operations that these do not have.
    check_reference("cpu", &CASES[..4]);
}

#[test]
fn any_number_of_workers_leaves_the_same_files() {
    check_any_number_of_workers("cpu", &UNDISTURBED);
}

#[test]
fn a_lost_worker_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let expected = &*UNDISTURBED;
    for (rank, step, phase) in [(0, 7, "backward"), (1, 9, "commit"), (0, 13, "optimizer")] {
        let plan = format!("generation=1,rank={rank},step={step},phase={phase},action=kill");
        let name = format!("{rank}-{step}-{phase}");
        let found = launch(folder.path(), &name, "cpu").workers(2).with_fault(&plan).complete();
        let log = folder.path().join(name).join(format!("logs/worker-{rank}.log"));
        assert!(std::fs::read_to_string(log).unwrap().contains("a planned fault"), "{plan}");
        expected.check(&found, &plan);
    }
}

#[test]
fn a_step_that_diverges_is_named_and_nothing_of_it_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let named = |name: &str, flags: &[&str], workers| {
        let run = launch(folder.path(), name, "cpu").with(flags).workers(workers);
        let ending = run.with(&["--lr", "1e30"]).start().wait();
        assert_eq!(ending.code, Some(1), "{}", ending.printed);
        assert!(ending.printed.contains("training diverged"), "{}", ending.printed);
        let place = ending.printed.find("(epoch 0, step").expect("the step is named");
        ending.printed[place..].chars().take(17).collect::<String>()
    };
    let expected = named("alone", &[], 1);
    assert_eq!(named("told", &[], 2), expected);
    let silent = ["--log-every", "100", "--checkpoint-every", "100"];
    assert_eq!(named("silent", &silent, 2), expected);
    // The epoch's last step.
    assert_eq!(named("at the end", &[&silent[..], &["--batch-size", "43"]].concat(), 2), expected);
}

#[test]
fn a_gpu_computes_the_reference() {
    if let Some(device) = gpu() {
        check_reference(device, &CASES);
    }
}

#[test]
fn any_number_of_workers_on_one_gpu_leaves_the_same_files() {
    if let Some(device) = gpu() {
        check_any_number_of_workers(device, &left_by_one(device));
    }
}
