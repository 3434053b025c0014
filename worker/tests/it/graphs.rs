//! Steps that are recorded and replayed leave the bits of steps that are asked for one operation at a time. On the CPU
//! with a library that records libtorch's operations (`tests/recorder`), on a GPU with CUDA graphs where `make cuda` has
//! built them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use worker::collective::nccl::ON_CPU_VARIABLE;

use crate::harness::{
    Launch, Worker, data,
    results::{Left, check_same},
    stand_in,
};
use crate::nccl::through_nccl;
use crate::tensors::gpu;

/// Builds the library that records a CPU's operations.
fn recorder(folder: &Path) -> PathBuf {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let libtorch = PathBuf::from(std::env::var_os("LIBTORCH").expect("cargo sets LIBTORCH"));
    let library = folder.join("librecorder.so");
    let include = |path: &str| format!("-isystem{}", libtorch.join(path).display());
    let built = Command::new("g++")
        .args(["-std=c++17", "-O1", "-fPIC", "-shared", "-D_GLIBCXX_USE_CXX11_ABI=1"])
        .args([include("include"), include("include/torch/csrc/api/include")])
        .arg(sources.join("tests/recorder/recorder.cpp"))
        .arg(sources.join("bridge/error.cpp"))
        .arg("-o")
        .arg(&library)
        .status()
        .unwrap();
    assert!(built.success(), "the recorder cannot be built");
    library
}

/// Variables for workers whose steps `library` records.
fn recorded_by(library: &Path) -> [(&'static str, &str); 2] {
    let library = library.to_str().unwrap();
    [("CONCENTRIC_CUDA_GRAPH", "on"), ("CONCENTRIC_GRAPHS_LIBRARY", library)]
}

/// A run with short last batches, several learning rates, and a checkpoint between epochs.
fn launch(folder: &Path, name: &str, device: &str) -> Launch {
    Launch::new(&folder.join(name))
        .with(&["--dataset", data::mnist(), "--train-samples", "85", "--test-samples", "20"])
        .with(&["--batch-size", "8", "--epochs", "2", "--log-every", "1"])
        .with(&["--checkpoint-every", "7", "--warmup-steps", "9", "--lr-schedule", "cosine"])
        .with_tensors_on(device)
}

/// What is left of it where steps are asked for one operation at a time. Made once.
static ASKED: LazyLock<Left> =
    LazyLock::new(|| Left::by(|folder| launch(folder, "asked", "cpu").on_one_core()));

#[test]
fn replayed_steps_leave_the_same_files() {
    const ADAM: [&str; 2] = ["--optimizer", "adam"];
    let folder = tempfile::tempdir().unwrap();
    let library = recorder(folder.path());
    let by_adam = Left::by(|folder| launch(folder, "asked", "cpu").with(&ADAM).on_one_core());
    for (name, flags, asked) in [("sgd", &[][..], &*ASKED), ("adam", &ADAM[..], &by_adam)] {
        let found = launch(folder.path(), name, "cpu")
            .with(flags)
            .on_one_core()
            .with_variables(&recorded_by(&library));
        asked.check(&found.complete(), name);
        let log = folder.path().join(name).join("logs/worker-0.log");
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains("steps are recorded and replayed"), "{log}");
        assert!(!log.contains("cannot be recorded"), "{log}");
    }
}

#[test]
fn a_worker_that_dies_among_replayed_steps_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let library = recorder(folder.path());
    let asked = &*ASKED;
    let plan = "generation=1,rank=0,step=18,phase=backward,action=kill";
    let found =
        launch(folder.path(), "killed", "cpu").on_one_core().with_variables(&recorded_by(&library));
    let found = found.with_fault(plan);
    asked.check(&found.complete(), plan);
    let log = std::fs::read_to_string(folder.path().join("killed/logs/worker-0.log")).unwrap();
    assert!(log.contains("a planned fault"), "{log}");
}

#[test]
fn exchanges_through_nccl_are_replayed_with_their_step() {
    let folder = tempfile::tempdir().unwrap();
    let (library, nccl) = (recorder(folder.path()), stand_in::compile(folder.path()));
    let recorded = |name: &str, workers| {
        let launch = through_nccl(launch(folder.path(), name, "cpu"), &nccl).workers(workers);
        launch.with_variables(&recorded_by(&library))
    };
    let asked = &*ASKED;
    let plan = "generation=1,rank=1,step=18,phase=backward,action=kill";
    for (name, found) in [
        ("two", recorded("two", 2)),
        ("four", recorded("four", 4)),
        ("killed", recorded("killed", 2).with_fault(plan)),
    ] {
        asked.check(&found.complete(), name);
        let log = folder.path().join(name).join("logs/worker-0.log");
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains("exchanging through NCCL"), "{log}");
        assert!(log.contains("steps are recorded and replayed"), "{log}");
        assert!(!log.contains("cannot be recorded"), "{log}");
        assert!(!log.contains("left behind"), "a communicator waits for its recordings: {log}");
    }
}

#[test]
fn workers_that_would_record_beside_others_that_would_not_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (library, nccl) = (recorder(folder.path()), stand_in::compile(folder.path()));
    let mut run = launch(folder.path(), "two", "cpu").with(&["--workers", "2"]).start();
    let (address, nccl) = (run.address(), nccl.display().to_string());
    let recorded = [recorded_by(&library).as_slice(), &[(ON_CPU_VARIABLE, "1")]].concat();
    let workers = [recorded.as_slice(), &[(ON_CPU_VARIABLE, "1")]].map(|variables| {
        let flags = ["--coordinator", &address, "--engine", "tensors", "--device", "cpu"];
        let flags = [&flags[..], &["--collective", "nccl", "--nccl-library", &nccl]].concat();
        Worker::start_with(folder.path(), &run.mark, &flags, variables)
    });
    let ending = run.wait();
    assert_eq!(ending.code, Some(1), "{}", ending.printed);
    assert!(
        ending.printed.contains("was started with --cuda-graph on and rank"),
        "{}",
        ending.printed
    );
    for worker in workers {
        let ending = worker.wait();
        assert_eq!(ending.code, Some(1), "{}", ending.printed);
    }
}

#[test]
fn exchanges_that_a_graph_cannot_hold_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let library = recorder(folder.path());
    let run = launch(folder.path(), "two", "cpu").with_variables(&recorded_by(&library)).workers(2);
    let ending = run.start().wait();
    assert_eq!(ending.code, Some(1), "{}", ending.printed);
    let log = std::fs::read_to_string(folder.path().join("two/logs/worker-0.log")).unwrap();
    assert!(log.contains("--cuda-graph on: this generation's exchanges"), "{log}");
    assert!(ending.printed.contains("times without a step done in between"), "{}", ending.printed);
}

#[test]
fn cuda_graphs_leave_the_same_files() {
    let Some(device) = gpu() else { return };
    let library =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../.libtorch/libconcentric_graphs.so");
    if !library.exists() {
        eprintln!("SKIPPED: CUDA graphs are not built, `make cuda` does it");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for precision in ["f32", "tf32", "bf16", "f64"] {
        let launch = |name: &str| {
            launch(folder.path(), &format!("{precision}-{name}"), device)
                .with(&["--precision", precision])
                .on_one_core()
        };
        // Where the library is, one worker alone records unless it is told not to.
        let asked = launch("asked").with_variables(&[("CONCENTRIC_CUDA_GRAPH", "off")]).complete();
        let replayed = launch("replayed").with_variables(&recorded_by(&library)).complete();
        check_same(&replayed, &asked, precision);
        for (name, records) in [("asked", false), ("replayed", true)] {
            let log = folder.path().join(format!("{precision}-{name}/logs/worker-0.log"));
            let log = std::fs::read_to_string(log).unwrap();
            assert_eq!(log.contains("steps are recorded and replayed"), records, "{name}: {log}");
        }
    }
}
