//! Who computes something else than the others is not let in, whatever makes it compute so, and whoever is there.

use std::path::Path;

use nix::sys::signal::Signal;

use crate::harness::{Ending, Launch, Results, Run, Worker};

const TENSORS: (&str, &str) = ("CONCENTRIC_ENGINE", "tensors");
/// Chooses other kernels of libtorch's convolutions than any processor's own since 2008.
const OLD_KERNELS: (&str, &str) = ("ONEDNN_MAX_CPU_ISA", "SSE41");

fn launch(root: &Path) -> Launch {
    Launch::new(root)
        .with(&["--dataset", "synthetic", "--train-samples", "200", "--test-samples", "20"])
        .with(&["--batch-size", "10", "--epochs", "1", "--logical-shards", "2"])
        .with(&["--checkpoint-every", "5", "--log-every", "1", "--threads", "1"])
        .with(&["--rejoin-timeout", "1"])
}

/// Of one worker whom nobody disturbs.
fn undisturbed(folder: &Path, variables: &[(&'static str, &str)]) -> Results {
    launch(&folder.join("alone")).with_variables(variables).on_one_core().complete()
}

/// A worker by hand in a free slot.
fn join(run: &mut Run, variables: &[(&str, &str)]) -> Worker {
    let address = run.address();
    let folder = run.root.parent().expect("a run lies in a test's folder");
    let flags = ["--coordinator", &address, "--parallel", "1"];
    Worker::start_with(folder, &run.mark, &flags, variables)
}

fn check_refused(ending: &Ending, expected: &str) {
    assert_eq!(ending.code, Some(1), "{}", ending.printed);
    assert!(ending.printed.contains(expected), "{}", ending.printed);
}

fn check_ends_like(mut run: Run, workers: Vec<Worker>, expected: &Results) {
    let ending = run.wait();
    assert_eq!(ending.code, Some(0), "{}", ending.printed);
    for worker in workers {
        let ending = worker.wait();
        assert_eq!(ending.code, Some(0), "{}", ending.printed);
    }
    let paths = ["checkpoints", "features"];
    assert_eq!(Results::of(&run.root).hashes(&paths), expected.hashes(&paths));
}

#[test]
fn a_variable_that_chooses_other_kernels_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let expected = undisturbed(folder.path(), &[TENSORS]);
    let mut run = launch(&folder.path().join("run")).with(&["--workers", "2"]).start();
    let first = join(&mut run, &[TENSORS]);
    first.wait_for("joined");
    let other = join(&mut run, &[TENSORS, OLD_KERNELS]).wait();
    check_refused(&other, "ONEDNN_MAX_CPU_ISA=SSE41 is set here alone");
    let second = join(&mut run, &[TENSORS]);
    check_ends_like(run, vec![first, second], &expected);
}

#[test]
fn a_variable_that_changes_nothing_is_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let expected = undisturbed(folder.path(), &[]);
    let mut run = launch(&folder.path().join("run")).with(&["--workers", "2"]).start();
    let workers = [&[][..], &[OLD_KERNELS]].map(|variables| join(&mut run, variables));
    check_ends_like(run, workers.into(), &expected);
}

/// The kind of the first worker is not only that of the members who are present.
#[test]
fn whoever_replaces_the_only_worker_computes_what_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let expected = undisturbed(folder.path(), &[TENSORS]);
    let mut run = launch(&folder.path().join("run")).with(&["--workers", "1"]).start();
    let lost = join(&mut run, &[TENSORS]);
    run.wait_for_step(3);
    lost.signal(Signal::SIGKILL);
    lost.wait();
    let other = join(&mut run, &[]).wait();
    check_refused(&other, "other numbers than this run was computed with so far");
    assert!(other.printed.contains("libtorch's kernels there"), "{}", other.printed);
    let same = join(&mut run, &[TENSORS]);
    check_ends_like(run, vec![same], &expected);
}

/// oneDNN would multiply in bfloat16 where the processor can, whatever the precision is said to be.
#[test]
fn a_variable_that_changes_the_precision_is_set_right() {
    let folder = tempfile::tempdir().unwrap();
    let expected = undisturbed(folder.path(), &[TENSORS]);
    let mut run = launch(&folder.path().join("run")).with(&["--workers", "1"]).start();
    let worker = join(&mut run, &[TENSORS, ("ONEDNN_DEFAULT_FPMATH_MODE", "BF16")]);
    worker.wait_for("ONEDNN_DEFAULT_FPMATH_MODE would change what --precision says");
    check_ends_like(run, vec![worker], &expected);
}

/// libtorch would wait for threads that never come.
#[test]
fn a_variable_that_takes_threads_away_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = launch(&folder.path().join("run"))
        .with(&["--workers", "1", "--precision", "bf16", "--threads", "2"])
        .start();
    let refused = join(&mut run, &[("OMP_THREAD_LIMIT", "1")]).wait();
    check_refused(&refused, "OMP_THREAD_LIMIT=1 gives libtorch fewer threads than the 2");
}

/// It would be of no use to the run, which says so before a generation is formed.
#[test]
fn who_cannot_cross_check_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--workers", "1", "--cross-check", "1"];
    let mut run = launch(&folder.path().join("run")).with(&flags).start();
    let refused = join(&mut run, &[TENSORS]).wait();
    check_refused(&refused, "--cross-check compares what the program's own passes compute on CPUs");
}
