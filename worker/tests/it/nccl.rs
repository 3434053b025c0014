//! Runs through NCCL, with a library of the tests' own in its place: everything but NCCL itself and the GPU is what runs
//! there. The results are those of one worker, whoever is lost meanwhile.

use std::path::Path;
use std::process::Command;

use crate::harness::{Launch, programs, stand_in};
use crate::tensors::{UNDISTURBED, launch};

const FOLDERS: [&str; 3] = ["checkpoints", "features", "pictures"];

/// With `library` in NCCL's place.
pub fn through_nccl(launch: Launch, library: &Path) -> Launch {
    launch.with_variables(&[
        ("CONCENTRIC_COLLECTIVE", "nccl"),
        ("CONCENTRIC_NCCL_LIBRARY", &library.display().to_string()),
        (worker::collective::nccl::ON_CPU_VARIABLE, "1"),
    ])
}

fn log(folder: &Path, name: &str, rank: u32) -> String {
    let file = folder.join(name).join(format!("logs/worker-{rank}.log"));
    std::fs::read_to_string(file).unwrap()
}

#[test]
fn any_number_of_workers_leaves_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let library = stand_in::compile(folder.path());
    let expected = &*UNDISTURBED;
    for workers in [2, 4] {
        let name = format!("nccl-{workers}");
        let launch = through_nccl(launch(folder.path(), &name, "cpu"), &library);
        expected.check(&launch.workers(workers).complete(), &name);
        assert!(log(folder.path(), &name, 1).contains("exchanging through NCCL"));
    }
    let gloo = launch(folder.path(), "gloo", "cpu").workers(2).complete();
    expected.check(&gloo, "gloo");
    assert!(!log(folder.path(), "gloo", 1).contains("NCCL"));
}

#[test]
fn a_lost_worker_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let library = stand_in::compile(folder.path());
    let expected = &*UNDISTURBED;
    for (rank, step, phase) in [(0, 7, "backward"), (1, 9, "commit"), (1, 13, "bucket")] {
        let plan = format!("generation=1,rank={rank},step={step},phase={phase},action=kill");
        let name = format!("{rank}-{step}-{phase}");
        let launch = through_nccl(launch(folder.path(), &name, "cpu"), &library);
        let found = launch.workers(2).with_fault(&plan).complete();
        assert!(log(folder.path(), &name, rank).contains("a planned fault"), "{plan}");
        expected.check(&found, &plan);
    }
}

#[test]
fn a_worker_that_hangs_is_not_waited_for_beyond_the_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let library = stand_in::compile(folder.path());
    let expected = &*UNDISTURBED;
    let plan = "generation=1,rank=1,step=7,phase=backward,action=freeze";
    let launch = through_nccl(launch(folder.path(), "frozen", "cpu"), &library);
    let found = launch.with(&["--collective-timeout", "3"]).workers(2).with_fault(plan).complete();
    let survivor = log(folder.path(), "frozen", 0);
    assert!(survivor.contains("the other ranks did not answer within 3s"), "{survivor}");
    expected.check(&found, plan);
}

#[test]
fn a_sum_in_the_engines_own_order_comes_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let library = stand_in::compile(folder.path());
    let launch = through_nccl(launch(folder.path(), "native", "cpu"), &library);
    let found = launch.with(&["--reduction", "native"]).workers(2).complete();
    assert!(!found.hashes(&FOLDERS).is_empty());
}

/// What a worker says that does not start, with these flags.
fn refused(flags: &[&str], on_cpu: bool) -> String {
    let mut worker = Command::new(programs::WORKER);
    worker.args(["--rank", "0", "--device", "cpu", "--collective", "nccl"]).args(flags);
    worker.envs(on_cpu.then_some((worker::collective::nccl::ON_CPU_VARIABLE, "1")));
    let output = worker.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_worker_that_cannot_have_nccl_says_why_and_does_not_start() {
    let printed = refused(&[], false);
    assert!(printed.contains("this worker computes on the CPU"), "{printed}");
    let printed = refused(&["--nccl-library", "/nowhere/libnccl.so.2"], true);
    assert!(printed.contains("/nowhere/libnccl.so.2 is not there"), "{printed}");
    let other = env!("CARGO_MANIFEST_PATH");
    let printed = refused(&["--nccl-library", other], true);
    assert!(printed.contains(other), "{printed}");
}
