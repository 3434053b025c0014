//! Files on their way into the run directory and out of it.

use common::status::ServiceError;

use crate::files::checkpoint_files;
use crate::harness::{FakeWorker, TestRun};

async fn started(folder: &tempfile::TempDir, arguments: &[&str]) -> (TestRun, FakeWorker) {
    let run = TestRun::start(folder, arguments).await;
    let (mut workers, _) = FakeWorker::start_all(&run, 1).await;
    (run, workers.remove(0))
}

fn names(run: &TestRun, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(run.root.join(folder)).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_is_put_can_be_got_under_every_name() {
    let folder = tempfile::tempdir().unwrap();
    let (run, mut worker) = started(&folder, &[]).await;
    let content: Vec<u8> = (0..700_000u32).map(|i| (i % 251) as u8).collect();
    let paths = ["pictures/epoch=0.png", "pictures/curves.png"];
    worker.put(&paths, &content).await.unwrap();
    for path in paths {
        assert_eq!(worker.get(path).await.unwrap(), content);
    }
    worker.put(&paths[..1], b"new").await.unwrap();
    assert_eq!(run.read(paths[0]), b"new");
    assert_eq!(run.read(paths[1]), content, "another name keeps its content");
    worker.put(&["pictures/features.gif"], b"").await.unwrap();
    assert_eq!(worker.get("pictures/features.gif").await.unwrap(), b"");
}

#[tokio::test]
async fn an_incomplete_upload_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let (run, mut worker) = started(&folder, &[]).await;
    worker.put(&["pictures/curves.png"], b"whole").await.unwrap();
    for length in [3, 5000] {
        let refused = worker.put_as(1, &["pictures/curves.png"], &[7; 4000], length).await;
        assert!(
            matches!(&refused, Err(ServiceError::Invalid(m)) if m.contains("announced")),
            "{refused:?}"
        );
    }
    assert_eq!(run.read("pictures/curves.png"), b"whole");
    assert_eq!(names(&run, "pictures"), ["curves.png"]);
}

#[tokio::test]
async fn tricks_with_paths_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (run, mut worker) = started(&folder, &[]).await;
    for path in
        ["../evil", "/etc/passwd", "config.toml", "pictures/../config.toml", "pictures/.x", ""]
    {
        let put = worker.put(&[path], b"evil").await;
        assert!(matches!(put, Err(ServiceError::Invalid(_))), "{path}: {put:?}");
        let got = worker.get(path).await;
        assert!(matches!(got, Err(ServiceError::Invalid(_))), "{path}: {got:?}");
    }
    assert!(matches!(worker.put(&[], b"x").await, Err(ServiceError::Invalid(_))));
    assert!(matches!(worker.get("pictures/none.png").await, Err(ServiceError::NotFound(_))));
    assert!(matches!(worker.get("initial.safetensors").await, Err(ServiceError::NotFound(_))));
    let stale = worker.put_as(2, &["pictures/curves.png"], b"x", 1).await;
    assert!(matches!(stale, Err(ServiceError::Stale(_))));
    assert!(names(&run, "pictures").is_empty());
}

#[tokio::test]
async fn the_resume_file_that_the_model_names_is_kept_until_its_successor_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (run, mut worker) = started(&folder, &[]).await;
    worker.checkpoint(&["last"], [0, 5, 5]).await.unwrap();
    assert_eq!(names(&run, "checkpoints"), ["last.resume.safetensors", "last.safetensors"]);
    let (model, resume) = checkpoint_files([0, 6, 6]);
    let previous = "checkpoints/last.previous.resume.safetensors";
    for _ in 0..2 {
        worker.put(&["checkpoints/last.resume.safetensors"], &resume).await.unwrap();
        assert_eq!(run.read(previous), checkpoint_files([0, 5, 5]).1);
    }
    worker.put(&["checkpoints/last.safetensors"], &model).await.unwrap();
    assert!(!run.root.join(previous).exists());
}

#[tokio::test]
async fn only_the_newest_epochs_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (run, mut worker) = started(&folder, &["--keep", "2", "--epochs", "12"]).await;
    for epoch in 0..12 {
        let stem = format!("epoch={epoch}");
        worker
            .checkpoint(&[&stem, "last", "best"], [epoch + 1, 0, 10 * (epoch + 1)])
            .await
            .unwrap();
    }
    let stems = ["best", "epoch=10", "epoch=11", "last"];
    let expected =
        stems.map(|stem| [format!("{stem}.resume.safetensors"), format!("{stem}.safetensors")]);
    assert_eq!(names(&run, "checkpoints"), expected.concat());
}

#[tokio::test]
async fn metrics_become_lines() {
    let folder = tempfile::tempdir().unwrap();
    let (run, mut worker) = started(&folder, &[]).await;
    worker.report_step(0, 0).await.unwrap();
    worker.report_step(1, 10).await.unwrap();
    let lines = run.metrics_lines();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["kind"], "step");
    assert_eq!(lines[1]["step"], 10);
    assert_eq!(lines[1]["loss"].as_f64(), Some(0.1 + 0.2));
}
