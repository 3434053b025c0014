//! How runs end: completed, stopped, and every way to fail.

use std::time::{Duration, Instant};

use common::status::ServiceError;
use coordinator::cluster::membership::Outcome;
use coordinator::interrupts::Interrupt;
use proto::Failed;
use proto::coordinator_message::Message as Order;
use proto::worker_message::Message as Word;

use crate::harness::{FakeWorker, TIMING, TestRun, hello};

async fn two(folder: &tempfile::TempDir) -> (TestRun, FakeWorker, FakeWorker) {
    let run = TestRun::start(folder, &["--workers", "2"]).await;
    let (mut workers, _) = FakeWorker::start_all(&run, 2).await;
    let second = workers.pop().unwrap();
    (run, workers.pop().unwrap(), second)
}

async fn failure(run: TestRun) -> String {
    let ended = run.ended().await;
    assert_eq!(ended.exit_code(), 1);
    match ended.outcome {
        Outcome::Failed { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn everyone_done_is_thanked_and_the_run_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let (run, mut first, mut second) = two(&folder).await;
    first.finish(false).await;
    second.finish(false).await;
    for worker in [&mut first, &mut second] {
        assert!(matches!(worker.order().await, Ok(Some(Order::Goodbye(_)))));
        assert!(matches!(worker.order().await, Ok(None)));
    }
    let ended = run.ended().await;
    assert_eq!((&ended.outcome, ended.exit_code()), (&Outcome::Completed, 0));
}

#[tokio::test]
async fn who_is_missing_when_the_run_is_complete_is_told_so_and_not_waited_for_any_longer() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "2", "--min-workers", "1"]).await;
    let (mut workers, _) = FakeWorker::start_all(&run, 2).await;
    let second = workers.pop().unwrap();
    let mut first = workers.pop().unwrap();
    drop(second);
    first.halted().await;
    first.leave(1, 3).await;
    first.start().await;
    first.finish_in(2, false, 30).await;
    assert!(matches!(first.order().await, Ok(Some(Order::Goodbye(_)))));
    drop(first);
    let begin = Instant::now();
    let told = FakeWorker::join_as(&run, hello(1)).await.unwrap_err();
    assert_eq!(told, ServiceError::Complete("the run is complete".to_string()));
    assert_eq!(run.ended().await.exit_code(), 0);
    assert!(begin.elapsed() < TIMING.latecomers_timeout, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn one_loss_too_many_ends_the_run_on_every_side_with_its_rank_and_the_last_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "2", "--max-generations", "0"]).await;
    let (mut workers, _) = FakeWorker::start_all(&run, 2).await;
    let second = workers.pop().unwrap();
    let mut first = workers.pop().unwrap();
    first.checkpoint(&["last"], [0, 7, 7]).await.unwrap();
    let begin = Instant::now();
    drop(second);
    store_at_the_end(&mut first, 8).await;
    let reason = first.aborted().await;
    let printed = failure(run).await;
    assert!(begin.elapsed() < Duration::from_secs(10));
    for message in [reason, printed] {
        assert!(message.contains("rank 1 on host-1"), "{message}");
        assert!(message.contains("--max-generations allows 0"), "{message}");
        assert!(message.contains("checkpoints/last.safetensors (epoch 0, step 8)"), "{message}");
    }
}

/// A run that ends by a failure asks a worker for the state that it has, which is then the last checkpoint.
async fn store_at_the_end(worker: &mut FakeWorker, step: u64) {
    let (reason, at_once) = worker.halted().await;
    assert!(reason.starts_with("the run ends: ") && at_once, "{reason}");
    worker.leave(1, step).await;
    let start = worker.start().await;
    assert_eq!((start.generation, start.world_size, start.only_store), (2, 1, true));
    worker.checkpoint_in(2, &["last"], [0, step, step]).await.unwrap();
    worker.finish_in(2, true, step).await;
}

#[tokio::test]
async fn a_failure_that_all_would_meet_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let (run, mut first, mut second) = two(&folder).await;
    let reason = "the loss is NaN at step 3".to_string();
    second
        .say(Word::Failed(Failed { generation: 1, reason, ends_run: true, ..Failed::default() }))
        .await;
    assert!(second.aborted().await.contains("NaN at step 3"));
    store_at_the_end(&mut first, 2).await;
    assert!(first.aborted().await.contains("NaN at step 3"));
    let message = failure(run).await;
    assert!(message.starts_with("rank 1 on host-1 failed: the loss is NaN at step 3"), "{message}");
    assert!(message.contains("checkpoints/last.safetensors (epoch 0, step 2)"), "{message}");
}

#[tokio::test]
async fn an_interrupt_stops_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let (run, mut first, mut second) = two(&folder).await;
    run.interrupts.send(Interrupt::Interrupt).await.unwrap();
    for worker in [&mut first, &mut second] {
        assert!(matches!(worker.order().await, Ok(Some(Order::Stop(_)))));
    }
    first.checkpoint(&["last"], [0, 7, 7]).await.unwrap();
    first.finish(true).await;
    second.finish(true).await;
    assert!(matches!(first.order().await, Ok(Some(Order::Goodbye(_)))));
    assert_eq!(run.ended().await.exit_code(), 130);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let (run, first, mut second) = two(&folder).await;
    run.interrupts.send(Interrupt::Terminate).await.unwrap();
    first.finish(true).await;
    assert!(matches!(second.order().await, Ok(Some(Order::Stop(_)))));
    let reason = second.aborted().await;
    assert!(reason.contains("rank 1 on host-1 did not store its state in time"), "{reason}");
    failure(run).await;
}

#[tokio::test]
async fn a_second_interrupt_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (run, mut first, _second) = two(&folder).await;
    run.interrupts.send(Interrupt::Terminate).await.unwrap();
    assert!(matches!(first.order().await, Ok(Some(Order::Stop(_)))));
    run.interrupts.send(Interrupt::Interrupt).await.unwrap();
    let begin = Instant::now();
    assert_eq!(run.ended().await.exit_code(), 130);
    assert!(begin.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn an_interrupt_while_waiting_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "2"]).await;
    let mut early = FakeWorker::join(&run, 0).await;
    run.interrupts.send(Interrupt::Terminate).await.unwrap();
    assert!(early.aborted().await.contains("SIGTERM"));
    assert_eq!(run.ended().await.exit_code(), 143);
}
