//! Any number of workers computes what one does: to rounding for another number of logical shards, bit for bit for the
//! same.
//!
//! An epoch is nine batches and a rest of two samples, which leaves logical shards (and ranks) without any. The first
//! batch is sorted by label, so that no shard of it has every class. (More of such rests would drown the claim: each
//! magnifies rounding, in PyTorch as much as here, where the mere order of a batch's samples is then worth 1e-12.)

use std::path::Path;

use crate::harness::results::relative;
use crate::harness::{Launch, Results, formulas};

const TOLERANCE: f64 = 1e-12;
const STEPS: &str = "20";
const FOLDERS: [&str; 3] = ["checkpoints", "features", "pictures"];

/// The samples of one epoch, in batches of a given size.
struct Epochs {
    folder: tempfile::TempDir,
    batch_size: usize,
    dataset: String,
}

impl Epochs {
    fn of_batches(batch_size: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let samples = formulas::samples(9 * batch_size + 2).sorted_by_label(batch_size);
        let dataset = samples.write(folder.path());
        Self { folder, batch_size, dataset }
    }

    fn train(&self, workers: u32, logical_shards: u32) -> Results {
        let root = self.folder.path().join(format!("workers-{workers}-shards-{logical_shards}"));
        let launch = self.launch(&root);
        let launch =
            if logical_shards == 1 { launch.on_one_core() } else { launch.workers(workers) };
        launch.with(&["--logical-shards", &logical_shards.to_string()]).complete()
    }

    fn launch(&self, root: &Path) -> Launch {
        Launch::new(root)
            .with(&["--dataset", &self.dataset, "--shuffle", "false", "--test-samples", "0"])
            .with(&["--batch-size", &self.batch_size.to_string(), "--max-steps", STEPS])
            .with(&["--precision", "f64", "--log-every", "1", "--threads", "1"])
    }
}

/// Every tensor within [`TOLERANCE`] of that of one worker, and every loss.
fn check_close(found: &Results, single: &Results, what: &str) {
    let (model, expected) = (found.model("last"), single.model("last"));
    assert_eq!(model.len(), 47, "the state dict and the centers");
    assert!(model.keys().eq(expected.keys()));
    let differences = model.iter().map(|(name, values)| (relative(values, &expected[name]), name));
    let (worst, place) = differences.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
    eprintln!("{what}: {worst:.1e} in {place}");
    assert!(worst <= TOLERANCE, "{what}: {worst:e} in {place}");
    let losses = |results: &Results| -> Vec<f64> {
        results.steps().iter().map(|line| line["loss"].as_f64().unwrap()).collect()
    };
    assert_eq!(losses(found).len(), 20);
    let difference = relative(&losses(found), &losses(single));
    assert!(difference <= TOLERANCE, "{what}: {difference:e} in the losses");
}

#[test]
fn batches_of_100_in_four_logical_shards() {
    let epochs = Epochs::of_batches(100);
    let single = epochs.train(1, 1);
    let one = epochs.train(1, 4);
    check_close(&one, &single, "1 worker, 4 logical shards");
    for workers in 2..=5 {
        let found = epochs.train(workers, 4);
        check_close(&found, &single, &format!("{workers} workers, 4 logical shards"));
        assert_eq!(found.hashes(&FOLDERS), one.hashes(&FOLDERS), "{workers} workers");
    }
}

#[test]
fn batches_of_97_in_a_logical_shard_for_each_worker() {
    let epochs = Epochs::of_batches(97);
    let single = epochs.train(1, 1);
    for workers in [2, 3, 5] {
        let found = epochs.train(workers, workers);
        check_close(&found, &single, &format!("{workers} workers, {workers} logical shards"));
    }
    let four = epochs.train(4, 4);
    check_close(&four, &single, "4 workers, 4 logical shards");
    let three = epochs.train(3, 4);
    assert_eq!(three.hashes(&FOLDERS), four.hashes(&FOLDERS), "3 workers, 4 logical shards");
}
