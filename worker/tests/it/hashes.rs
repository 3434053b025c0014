//! With the defaults, in float32: the same bytes from any number of workers.

use std::path::Path;

use crate::harness::results::{check_same, relative};
use crate::harness::{Launch, Results, data};

fn launch(folder: &Path, name: &str) -> Launch {
    Launch::new(&folder.join(name)).with(&["--dataset", data::mnist()]).with(&[
        "--max-steps",
        "6",
        "--test-samples",
        "300",
        "--log-every",
        "1",
    ])
}

/// Few samples: a processor without instructions for bfloat16 takes long.
fn short(folder: &Path, name: &str) -> Launch {
    Launch::new(&folder.join(name))
        .with(&["--dataset", data::mnist(), "--train-samples", "60", "--test-samples", "20"])
        .with(&["--batch-size", "20", "--epochs", "1", "--log-every", "1"])
}

#[test]
fn bfloat16_leaves_the_same_files_too() {
    let folder = tempfile::tempdir().unwrap();
    let train = |workers: u32| {
        let name = format!("bf16-{workers}");
        short(folder.path(), &name).workers(workers).with(&["--precision", "bf16"]).complete()
    };
    let [one, three] = [1, 3].map(train);
    check_same(&three, &one, "3 workers");
    let exact = short(folder.path(), "f32").workers(1).complete();
    let difference = relative(&losses(&one), &losses(&exact));
    eprintln!("bfloat16: losses differ from those of f32 by {difference:.1e}");
    assert!(difference > 0.0, "the same losses as in f32: nothing was rounded to 16 bits");
    assert!(difference < 3e-2, "{difference:e}");
}

fn losses(results: &Results) -> Vec<f64> {
    results.steps().iter().map(|line| line["loss"].as_f64().unwrap()).collect()
}

#[test]
fn one_to_four_workers_leave_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let train = |workers: u32| {
        launch(folder.path(), &format!("ordered-{workers}")).workers(workers).complete()
    };
    let one = train(1);
    let hashes = one.hashes(&["checkpoints", "features", "pictures"]);
    let expected = [
        "checkpoints/epoch=0.safetensors",
        "checkpoints/last.resume.safetensors",
        "checkpoints/last.safetensors",
        "features/epoch=0.safetensors",
        "pictures/confusion.png",
        "pictures/curves.png",
        "pictures/epoch=0.png",
        "pictures/features.gif",
    ];
    for file in expected {
        assert!(hashes.contains_key(file), "{file} is missing: {:?}", hashes.keys());
    }
    for workers in 2..=4 {
        check_same(&train(workers), &one, &format!("{workers} workers"));
    }
    check_native(folder.path(), &one);
}

/// The engine's own sums: as good, but not the same bits, for they are added in another order.
fn check_native(folder: &Path, ordered: &Results) {
    let native = launch(folder, "native").workers(3).with(&["--reduction", "native"]).complete();
    let difference = relative(&losses(&native), &losses(ordered));
    eprintln!("native reduction: losses differ by {difference:.1e}");
    assert!(difference < 1e-3, "{difference:e}");
    assert_ne!(native.hashes(&["checkpoints"]), ordered.hashes(&["checkpoints"]));
}
