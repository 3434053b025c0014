//! The network without convolutions keeps every promise that the other one keeps, with either engine.

use std::path::Path;

use crate::harness::{Launch, data, results::check_same};

/// Eleven steps an epoch, two epochs, the last batch of each short.
fn launch(root: &Path, (loss, tensors): (&str, bool)) -> Launch {
    let launch = Launch::new(root)
        .with(&["--loss", loss])
        .with(&["--network", "mlp", "--dataset", data::mnist(), "--train-samples", "205"])
        .with(&["--test-samples", "50", "--batch-size", "20", "--epochs", "2", "--lr", "0.01"])
        .with(&["--log-every", "1", "--checkpoint-every", "3", "--logical-shards", "4"]);
    if tensors { launch.with_tensors_on("cpu") } else { launch }
}

/// Numbers of workers, lost ones, and a resumed run, with this loss; its value in every step.
pub fn check_workers_losses_and_resuming(loss: &str, tensors: bool) -> Vec<f64> {
    let folder = tempfile::tempdir().unwrap();
    let root = |name: &str| folder.path().join(name);
    let launch = |root: &Path| launch(root, (loss, tensors));
    let one = launch(&root("one")).workers(1).complete();
    let losses: Vec<f64> = one.steps().iter().map(|line| line["loss"].as_f64().unwrap()).collect();
    let (numbers, plans): (&[u32], &[_]) = match tensors {
        false => (&[2, 4, 5], &[(1, 7, "backward"), (0, 13, "sum")]),
        // `tensors` and `graphs` have more of the same code.
        true => (&[3], &[(0, 13, "backward")]),
    };
    for &workers in numbers {
        let found = launch(&root(&format!("{workers}"))).workers(workers).complete();
        check_same(&found, &one, &format!("{workers} workers"));
    }
    for (rank, step, phase) in plans {
        let plan = format!("generation=1,rank={rank},step={step},phase={phase},action=kill");
        let lost = launch(&root(phase)).workers(2).with_fault(&plan).complete();
        let log = root(phase).join(format!("logs/worker-{rank}.log"));
        assert!(std::fs::read_to_string(log).unwrap().contains("a planned fault"), "{plan}");
        check_same(&lost, &one, &plan);
    }
    let begun = launch(&root("resumed")).workers(2).with(&["--max-steps", "14"]);
    assert_eq!(begun.complete().steps().len(), 14);
    let resumed = Launch::resume(&root("resumed")).with(&["--max-steps", "22"]);
    let resumed = if tensors { resumed.with_tensors_on("cpu") } else { resumed };
    check_same(&resumed.workers(3).complete(), &one, "resumed within an epoch");
    losses
}

/// Without the short last batches of both epochs. Digits that the program draws are learned slowly at first.
pub fn check_learning(losses: &[f64]) {
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    assert!(mean(&losses[16..21]) < 0.95 * mean(&losses[..5]), "it learns: {losses:?}");
}

#[test]
fn workers_losses_and_resuming_change_nothing() {
    check_learning(&check_workers_losses_and_resuming("center", false));
}

#[test]
fn workers_losses_and_resuming_change_nothing_of_a_cpus_tensors() {
    check_learning(&check_workers_losses_and_resuming("center", true));
}

/// A few steps of a network without evaluation.
fn short(root: &Path, network: &str) -> Launch {
    Launch::new(root)
        .with(&["--network", network, "--dataset", data::mnist(), "--train-samples", "40"])
        .with(&["--test-samples", "0", "--batch-size", "20", "--epochs", "1"])
}

#[test]
fn a_run_starts_from_its_own_checkpoint_but_not_from_the_other_networks() {
    let folder = tempfile::tempdir().unwrap();
    let root = |name: &str| folder.path().join(name);
    let first = short(&root("first"), "mlp").workers(1).complete();
    // The one with the momenta, which stands for the model beside it.
    let file = first.path("checkpoints/last.resume.safetensors");
    let init_from = ["--init-from", file.to_str().unwrap()];
    let still = ["--lr", "0", "--center-lr", "0"];
    let second = short(&root("second"), "mlp").workers(2).with(&init_from).with(&still).complete();
    assert_eq!(second.model("last"), first.model("last"), "steps of length 0");
    let log = std::fs::read_to_string(second.path("coordinator.log")).unwrap();
    let taken = log.lines().filter(|line| line.contains("beginning with given parameters"));
    let taken: Vec<_> = taken.collect();
    assert_eq!(taken.len(), 1, "{log}");
    for part in ["checkpoints/last.safetensors", "tensors=10", "center"] {
        assert!(taken[0].contains(part), "{part}: {}", taken[0]);
    }
    let ending = short(&root("other"), "cnn").workers(1).with(&init_from).start().wait();
    assert_eq!(ending.code, Some(1), "{}", ending.printed);
    for expected in ["hidden.0.weight [512, 784]", "conv_layer.0.cnn_layer.0.weight [32, 1, 5, 5]"]
    {
        assert!(ending.printed.contains(expected), "{expected}: {}", ending.printed);
    }
}
