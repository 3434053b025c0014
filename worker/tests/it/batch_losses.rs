//! Losses that look at the whole batch keep every promise that the others keep, with either engine; `reference` proves what
//! they are.

use crate::fully_connected::{check_learning, check_workers_losses_and_resuming};
use crate::harness::expected::{Difference, EXPECTED};
use crate::harness::results::check_same;
use crate::harness::{Launch, Results, data};
use crate::reference;

#[test]
fn pairs_and_centers_are_those_of_the_whole_batch() {
    check_workers_losses_and_resuming("softmax + triplet + 0.5*contrastive-center", false);
}

#[test]
fn a_margin_is_that_of_the_whole_batch() {
    check_learning(&check_workers_losses_and_resuming("arcface(scale=8)", false));
}

#[test]
fn with_a_cpus_tensors_too() {
    let loss = "cosface(scale=8) + 0.5*supcon + contrastive-center";
    check_learning(&check_workers_losses_and_resuming(loss, true));
}

#[test]
fn a_cpus_tensors_compute_the_reference() {
    for name in ["supcon", "triplet", "triplet-soft", "contrastive-center", "arcface", "cosface"] {
        let (case, folder) = (&EXPECTED.cases[name], tempfile::tempdir().unwrap());
        let launch = reference::launch(folder.path(), case).on_one_core().with_tensors_on("cpu");
        let Difference(difference, place) = case.largest_difference(&launch.complete());
        eprintln!("{name}: {difference:.1e} at the {place}");
        assert!(difference < 1e-10, "{name}: {difference:e} at the {place}");
    }
}

/// Six steps of convolutions over an epoch's end.
fn launch(folder: &std::path::Path, name: &str) -> Launch {
    Launch::new(&folder.join(name))
        .with(&["--dataset", data::mnist(), "--train-samples", "24", "--test-samples", "16"])
        .with(&["--batch-size", "8", "--test-batch-size", "8", "--epochs", "2"])
        .with(&["--log-every", "1", "--checkpoint-every", "2", "--logical-shards", "5"])
        .with(&["--threads", "1", "--rejoin-timeout", "1", "--loss", "softmax + 0.5*supcon"])
}

#[test]
fn supervised_contrastive_loss_survives_losses_and_flips() {
    let folder = tempfile::tempdir().unwrap();
    let one = launch(folder.path(), "one").workers(1).complete();
    check_reported(&one);
    for workers in [2, 3, 5] {
        let found = launch(folder.path(), &workers.to_string()).workers(workers).complete();
        check_same(&found, &one, &format!("{workers} workers"));
    }
    for (name, what) in [
        ("killed", "step=1,phase=sum,action=kill"),
        ("late", "step=4,phase=backward,action=kill"),
        ("flipped", "step=2,phase=forward,action=parameter,bit=30,place=1000"),
        ("wrong", "step=3,phase=backward,action=gradient,bit=30,place=17"),
    ] {
        let plan = format!("generation=1,rank=1,{what}");
        let run = launch(folder.path(), name).workers(3).with_fault(&plan);
        let found = run.with(&["--cross-check", "1"]).complete();
        let log = folder.path().join(name).join("logs/worker-1.log");
        assert!(std::fs::read_to_string(log).unwrap().contains("a planned fault"), "{plan}");
        check_same(&found, &one, &plan);
    }
}

/// A batch's pairs are counted, and a batch without any says so.
fn check_reported(results: &Results) {
    let steps = results.steps();
    let mut anchors = 0;
    for line in &steps {
        let [loss, of_step] = ["supcon_loss", "supcon_anchors"].map(|key| &line[key]);
        assert!(of_step.as_u64().unwrap() > 0 || loss.as_f64() == Some(0.0), "{line}");
        anchors += of_step.as_u64().unwrap();
    }
    let lines = results.metrics();
    let epochs = lines.iter().filter(|line| line["kind"] == "epoch");
    assert_eq!(epochs.map(|line| line["supcon_anchors"].as_u64().unwrap()).sum::<u64>(), anchors);
    assert!(anchors > 0, "{lines:?}");
}

#[test]
fn a_batch_without_a_pair_has_no_loss_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let run = launch(folder.path(), "alone").with(&["--batch-size", "1", "--max-steps", "3"]);
    let results = run.workers(2).complete();
    for line in results.steps() {
        assert_eq!(line["supcon_anchors"], 0, "{line}");
        assert_eq!(line["supcon_loss"], 0.0, "{line}");
    }
}
