//! The same bytes on every processor: whatever instructions compute, whoever computes with which, and as they are written
//! here.

use std::path::Path;

use engine::Instructions;

use crate::harness::{Launch, Results, Worker, programs};

/// Of the runs below, on every machine. To be changed with `common::KERNEL_VERSION` alone.
const EXPECTED: [(&str, &str, &str); 2] = [
    ("f32", "30", "b81885a74cb223e1c94673f9dbbb3a444032cbf801dd1a62401b956751366775"),
    ("f64", "10", "b0c581ef7c806eaf9912712ecc6a4db1dc1c1293d59da3517bc4572b8eff088d"),
];

fn launch(root: &Path, precision: &str, steps: &str) -> Launch {
    Launch::new(root)
        .with(&["--dataset", "synthetic", "--train-samples", "600", "--test-samples", "40"])
        .with(&["--batch-size", "20", "--max-steps", steps, "--precision", precision])
        .with(&["--logical-shards", "4"])
}

fn fingerprint(root: &Path) -> String {
    let asked = std::process::Command::new(programs::coordinator())
        .arg("fingerprint")
        .arg(root)
        .output()
        .unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    String::from_utf8(asked.stdout).unwrap().trim().to_string()
}

#[test]
fn a_short_run_has_the_fingerprint_that_it_has_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    for (precision, steps, expected) in EXPECTED {
        let root = folder.path().join(precision);
        launch(&root, precision, steps).workers(2).complete();
        assert_eq!(fingerprint(&root), expected, "{precision}");
    }
}

#[test]
fn instructions_and_threads_change_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, threads: &str| {
        let root = folder.path().join(format!("{name}-{threads}"));
        launch(&root, "f32", "2")
            .with(&["--threads", threads])
            .with_variables(&[("CONCENTRIC_INSTRUCTIONS", name)])
            .workers(1)
            .complete()
    };
    let available: Vec<String> =
        Instructions::available().iter().map(ToString::to_string).collect();
    println!("instructions of this processor: {}", available.join(", "));
    let expected = run(&available[0], "1");
    let others = available.iter().map(|name| (name, "1")).skip(1);
    for (name, threads) in others.chain([(&available[0], "3")]) {
        let found = run(name, threads);
        let paths = ["checkpoints", "features", "pictures"];
        assert_eq!(found.hashes(&paths), expected.hashes(&paths), "{name}, {threads} threads");
        assert_eq!(found.reproducible_metrics(), expected.reproducible_metrics(), "{name}");
    }
}

#[test]
fn workers_with_different_instructions_end_with_the_bytes_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let alone = launch(&folder.path().join("alone"), "f32", "2").workers(1).complete();
    let available = Instructions::available();
    let root = folder.path().join("together");
    let mut run = launch(&root, "f32", "2").with(&["--workers", "2"]).start();
    let address = run.address();
    let join = |instructions: &Instructions| {
        let variables = [("CONCENTRIC_INSTRUCTIONS", &*instructions.to_string())];
        let flags = ["--coordinator", &address, "--parallel", "1"];
        Worker::start_with(folder.path(), &run.mark, &flags, &variables)
    };
    let workers = [&available[0], &available[available.len() - 1]].map(join);
    let ending = run.wait();
    assert_eq!(ending.code, Some(0), "{}", ending.printed);
    for worker in workers {
        assert_eq!(worker.wait().code, Some(0));
    }
    let paths = ["checkpoints", "features", "pictures"];
    assert_eq!(Results::of(&root).hashes(&paths), alone.hashes(&paths));
}
