//! `--resume`: which checkpoint it takes, and what it takes back.

use std::time::{Duration, Instant};

use common::computing::Proof;
use common::status::ServiceError;
use coordinator::cluster::membership::Outcome;
use coordinator::interrupts::Interrupt;
use proto::report_metrics_request::Metrics;
use proto::{EpochMetrics, ReportMetricsRequest};
use proto::{Hello, StartFrom};
use safetensors::Dtype;
use tempfile::TempDir;

use crate::files::{archive, checkpoint_files, metadata, model};
use crate::harness::{FakeWorker, TestRun, config, hello, plan, within};

/// A run of 12 steps whose last checkpoint is at step 11, the first of epoch 1 at step 10.
async fn interrupted_run(folder: &TempDir) {
    let run = TestRun::start(folder, &["--workers", "1", "--seed", "3"]).await;
    let (mut workers, _) = FakeWorker::start_all(&run, 1).await;
    let worker = &mut workers[0];
    for step in 0..10 {
        worker.report_step(0, step).await.unwrap();
    }
    let epoch = EpochMetrics { epoch: 0, loss: 0.5, ..EpochMetrics::default() };
    let metrics = Some(Metrics::Epoch(epoch));
    within(worker.client.report_metrics(ReportMetricsRequest { generation: 1, metrics }))
        .await
        .unwrap();
    worker.checkpoint(&["epoch=0", "last"], [1, 0, 10]).await.unwrap();
    worker.report_step(1, 10).await.unwrap();
    worker.checkpoint(&["last"], [1, 1, 11]).await.unwrap();
    worker.report_step(1, 11).await.unwrap();
    run.interrupts.send(Interrupt::Interrupt).await.unwrap();
    worker.order().await.unwrap();
    worker.finish(true).await;
    worker.order().await.unwrap();
    drop(workers);
    run.ended().await;
}

async fn resumed(folder: &TempDir) -> (TestRun, FakeWorker) {
    let run = TestRun::resume(folder, &[]).await;
    let (mut workers, starts) = FakeWorker::start_all(&run, 1).await;
    assert_eq!(starts[0].start_from(), StartFrom::Checkpoint);
    let config = config(&starts[0]);
    assert_eq!((config.seed, config.batch_size), (3, 10), "the settings are the saved ones");
    (run, workers.remove(0))
}

fn steps(run: &TestRun) -> usize {
    run.metrics_lines().iter().filter(|line| line["kind"] == "step").count()
}

fn checkpoint_path(folder: &TempDir, name: &str) -> std::path::PathBuf {
    folder.path().join("run/checkpoints").join(name)
}

#[tokio::test]
async fn it_goes_on_from_the_last_checkpoint_and_cuts_the_metrics_back() {
    let folder = tempfile::tempdir().unwrap();
    interrupted_run(&folder).await;
    let (run, mut worker) = resumed(&folder).await;
    assert_eq!(run.metrics_lines().len(), 12);
    assert_eq!(steps(&run), 11);
    assert_eq!(
        worker.get("checkpoints/last.safetensors").await.unwrap(),
        checkpoint_files([1, 1, 11]).0
    );
    worker.report_step_in(2, 1, 11).await.unwrap();
    assert_eq!(steps(&run), 12);
}

#[tokio::test]
async fn a_crash_between_the_two_files_of_a_checkpoint_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    interrupted_run(&folder).await;
    let (run, mut worker) = resumed(&folder).await;
    let (_, resume) = checkpoint_files([1, 2, 12]);
    let length = resume.len() as u64;
    worker.put_as(2, &["checkpoints/last.resume.safetensors"], &resume, length).await.unwrap();
    drop(worker);
    run.interrupts.send(Interrupt::Interrupt).await.unwrap();
    run.ended().await;
    let (run, mut worker) = resumed(&folder).await;
    let got = worker.get("checkpoints/last.resume.safetensors").await.unwrap();
    assert_eq!(got, checkpoint_files([1, 1, 11]).1);
    assert_eq!(steps(&run), 11);
    assert!(!checkpoint_path(&folder, "last.previous.resume.safetensors").exists());
}

#[tokio::test]
async fn a_damaged_last_checkpoint_falls_back_to_the_epoch_before() {
    for damage in ["last.safetensors", "last.resume.safetensors"] {
        let folder = tempfile::tempdir().unwrap();
        interrupted_run(&folder).await;
        std::fs::write(checkpoint_path(&folder, damage), b"torn").unwrap();
        let (run, mut worker) = resumed(&folder).await;
        let (model, resume) = checkpoint_files([1, 0, 10]);
        assert_eq!(worker.get("checkpoints/last.safetensors").await.unwrap(), model);
        assert_eq!(worker.get("checkpoints/last.resume.safetensors").await.unwrap(), resume);
        assert_eq!((steps(&run), run.metrics_lines().len()), (10, 11));
    }
}

#[tokio::test]
async fn without_an_intact_checkpoint_it_says_why() {
    let folder = tempfile::tempdir().unwrap();
    interrupted_run(&folder).await;
    for stem in ["last", "epoch=0"] {
        std::fs::write(checkpoint_path(&folder, &format!("{stem}.safetensors")), b"torn").unwrap();
    }
    let message = TestRun::resume(&folder, &[]).await.error().await;
    assert!(message.contains("no checkpoint to resume from"), "{message}");
    assert!(
        message.contains("last.safetensors") && message.contains("epoch=0.safetensors"),
        "{message}"
    );
}

/// As its ledger tells, and where there is none as its checkpoint does.
#[tokio::test]
async fn a_resumed_run_is_computed_with_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let proof = |byte| Proof::new([byte; 32]).to_string();
    let proving = |byte| Hello { proof: proof(byte), ..hello(0) };
    let run = TestRun::start(&folder, &["--workers", "1"]).await;
    let mut worker = FakeWorker::join_as(&run, proving(1)).await.unwrap();
    assert_eq!(worker.start().await.proof, proof(1));
    let told = Some(serde_json::json!({ "proof": proof(1) }).to_string());
    let resume = archive(&[("record.labels".to_string(), Dtype::U8, vec![0], vec![])], told);
    let model = archive(&model(), Some(metadata([0, 1, 1], &resume)));
    worker.put(&["checkpoints/last.resume.safetensors"], &resume).await.unwrap();
    worker.put(&["checkpoints/last.safetensors"], &model).await.unwrap();
    run.kill().await;
    for expected in ["this run was computed with so far: nothing", "but a digest is left"] {
        let run = TestRun::resume(&folder, &["--rejoin-timeout", "1"]).await;
        let refused = FakeWorker::join_as(&run, proving(2)).await.unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
        let mut worker = FakeWorker::join_as(&run, proving(1)).await.unwrap();
        assert_eq!(worker.start().await.start_from(), StartFrom::Checkpoint);
        run.kill().await;
        std::fs::remove_file(folder.path().join("run/events.jsonl")).unwrap();
    }
}

#[tokio::test]
async fn a_new_run_does_not_overwrite_an_old_one() {
    let folder = tempfile::tempdir().unwrap();
    interrupted_run(&folder).await;
    let message = TestRun::start(&folder, &[]).await.error().await;
    assert!(message.contains("holds a run already") && message.contains("--resume"), "{message}");
}

#[tokio::test]
async fn two_coordinators_do_not_share_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    interrupted_run(&folder).await;
    let (_run, _worker) = resumed(&folder).await;
    let message = TestRun::resume(&folder, &[]).await.error().await;
    assert!(message.contains("another coordinator is running"), "{message}");
}

#[tokio::test]
async fn other_samples_and_other_settings_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    interrupted_run(&folder).await;
    let root = folder.path().join("run");
    let refused = plan(&root, &["--resume", "--seed", "4"]).unwrap_err().to_string();
    assert!(refused.contains("--seed is 4 here but 3"), "{refused}");
    let identity = root.join("dataset.json");
    let text = std::fs::read_to_string(&identity).unwrap().replace("sha256\": \"", "sha256\": \"0");
    std::fs::write(&identity, text).unwrap();
    let message = TestRun::resume(&folder, &[]).await.error().await;
    assert!(message.contains("not those that the run began with"), "{message}");
}

#[tokio::test]
async fn a_resumed_run_names_its_checkpoint_when_it_fails_at_once() {
    let folder = tempfile::tempdir().unwrap();
    interrupted_run(&folder).await;
    let run = TestRun::resume(&folder, &["--max-generations", "0"]).await;
    drop(FakeWorker::start_all(&run, 1).await);
    let ended = run.ended().await;
    let message = format!("{:?}", ended.outcome);
    assert!(message.contains("(epoch 1, step 11)"), "{message}");
}

#[tokio::test]
async fn settings_that_contradict_the_position_are_refused_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    interrupted_run(&folder).await;
    let files = || {
        let root = folder.path().join("run");
        ["config.toml", "metrics.jsonl", "checkpoints/last.safetensors"]
            .map(|name| std::fs::read(root.join(name)).unwrap())
    };
    let before = files();
    for (flags, expected) in [
        (["--epochs", "1"], "--epochs: is 1, which ends the run at step 10, but 11 steps"),
        (["--max-steps", "10"], "--max-steps: is 10, but 11 steps of this run are done"),
    ] {
        let message = TestRun::resume(&folder, &flags).await.error().await;
        assert!(message.contains(expected), "{message}");
        assert!(files() == before, "{flags:?} has changed the run");
    }
    let mut of_variable = plan(&folder.path().join("run"), &["--resume", "--epochs", "1"]).unwrap();
    of_variable.variables.insert("epochs".to_string(), "CONCENTRIC_EPOCHS".to_string());
    let message = TestRun::of(&folder, of_variable).await.error().await;
    assert!(message.starts_with("the variable CONCENTRIC_EPOCHS: --epochs: is 1"), "{message}");
}

#[tokio::test]
async fn a_saved_limit_of_steps_can_be_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    interrupted_run(&folder).await;
    for (flags, expected) in [
        (&["--max-steps", "25"][..], Some(25)),
        (&[], Some(25)),
        (&["--max-steps", "0"], None),
        (&[], None),
    ] {
        let run = TestRun::resume(&folder, flags).await;
        let (workers, starts) = FakeWorker::start_all(&run, 1).await;
        assert_eq!(config(&starts[0]).max_steps, expected, "{flags:?}");
        drop(workers);
        run.interrupts.send(Interrupt::Interrupt).await.unwrap();
        run.ended().await;
    }
}

/// Its only picture that is due is there, too.
async fn complete_run(folder: &TempDir) {
    let run = TestRun::start(folder, &["--workers", "1", "--picture-every", "9"]).await;
    let (mut workers, _) = FakeWorker::start_all(&run, 1).await;
    workers[0].checkpoint(&["last"], [3, 0, 30]).await.unwrap();
    std::fs::write(run.root.join("pictures/epoch=0.png"), b"a picture").unwrap();
    workers[0].finish(false).await;
    workers[0].order().await.unwrap();
    drop(workers);
    assert_eq!(run.ended().await.outcome, Outcome::Completed);
}

#[tokio::test]
async fn a_finished_run_ends_at_once_without_any_worker() {
    let folder = tempfile::tempdir().unwrap();
    complete_run(&folder).await;
    for _ in 0..2 {
        let begin = Instant::now();
        let ended = TestRun::resume(&folder, &[]).await.ended().await;
        assert_eq!((&ended.outcome, ended.exit_code()), (&Outcome::Completed, 0));
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    }
    // With a picture that is missing, or steps, it is not finished.
    for flags in [["--picture-format", "svg"], ["--epochs", "4"]] {
        let run = TestRun::resume(&folder, &flags).await;
        drop(FakeWorker::start_all(&run, 1).await);
        run.interrupts.send(Interrupt::Interrupt).await.unwrap();
        run.ended().await;
    }
}

#[tokio::test]
async fn workers_that_are_started_along_with_a_finished_run_are_told_so() {
    let folder = tempfile::tempdir().unwrap();
    complete_run(&folder).await;
    let run = TestRun::resume_if_any(&folder).await;
    let told = FakeWorker::join_as(&run, hello(0)).await.unwrap_err();
    assert_eq!(told, ServiceError::Complete("the run is complete".to_string()));
    let one_more = FakeWorker::join_as(&run, hello(1)).await.unwrap_err();
    assert_eq!(one_more, told);
    let begin = Instant::now();
    assert_eq!(run.ended().await.exit_code(), 0);
    assert!(begin.elapsed() < Duration::from_secs(9), "{:?}", begin.elapsed());
}

/// As where two machines share the folder, but not its locks.
#[tokio::test]
async fn a_coordinator_that_still_serves_the_run_is_asked_where_its_lock_is_not_seen() {
    let folder = tempfile::tempdir().unwrap();
    interrupted_run(&folder).await;
    let (run, _worker) = resumed(&folder).await;
    std::fs::remove_file(folder.path().join("run/coordinator.lock")).unwrap();
    let message = TestRun::resume(&folder, &[]).await.error().await;
    let place = run.address.trim_start_matches("http://");
    assert!(message.contains("another coordinator is running"), "{message}");
    assert!(message.contains(&format!("answers at {place}")), "{message}");
}
