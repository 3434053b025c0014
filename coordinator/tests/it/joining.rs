//! Who may join, and what a started worker is told.

use common::status::ServiceError;
use proto::coordinator_message::Message as Order;
use proto::worker_message::Message as Word;
use proto::{Hello, Pong, StartFrom};

use crate::harness::{FakeWorker, TestRun, config, hello, within};

#[tokio::test]
async fn ranks_follow_slots_and_the_start_says_everything() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "3", "--seed", "5"]).await;
    let mut workers = Vec::new();
    for slot in [2, 0, 1] {
        workers.push((slot, FakeWorker::join(&run, slot).await));
    }
    for (slot, worker) in &mut workers {
        let start = worker.start().await;
        assert_eq!((start.generation, start.rank, start.world_size), (1, *slot, 3));
        assert_eq!((start.train_samples, start.test_samples), (97, 23));
        assert_eq!((start.start_from(), start.dataset.as_str()), (StartFrom::Seed, "synthetic"));
        let config = config(&start);
        assert_eq!((config.seed, config.logical_shards, config.threads), (5, Some(4), Some(1)));
    }
}

async fn refusal(run: &TestRun, hello: Hello) -> ServiceError {
    FakeWorker::join_as(run, hello).await.unwrap_err()
}

#[tokio::test]
async fn who_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "2"]).await;
    let old = refusal(&run, Hello { protocol_version: 9, ..hello(0) }).await;
    assert!(
        matches!(&old, ServiceError::IncompatibleVersion(m) if m.contains("version 9") && m.contains("version 2"))
    );
    let out_of_range = refusal(&run, hello(2)).await;
    assert!(
        matches!(&out_of_range, ServiceError::Invalid(m) if m.contains("0…1")),
        "{out_of_range}"
    );
    let _first = FakeWorker::join(&run, 0).await;
    let other = refusal(&run, Hello { hardware: "EPYC".to_string(), ..hello(1) }).await;
    assert!(
        matches!(&other, ServiceError::Invalid(m) if m.contains("EPYC") && m.contains("Xeon")),
        "{other}"
    );
}

#[tokio::test]
async fn mixed_hardware_can_be_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "2", "--allow-mixed-hardware"]).await;
    let mut first = FakeWorker::join(&run, 0).await;
    let _second = FakeWorker::join_as(&run, Hello { hardware: "EPYC".to_string(), ..hello(1) })
        .await
        .unwrap();
    first.start().await;
}

#[tokio::test]
async fn a_holder_that_answers_keeps_its_slot() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "2"]).await;
    let mut holder = FakeWorker::join(&run, 0).await;
    let answering = async {
        let Ok(Some(Order::Ping(ping))) = holder.order().await else { panic!("no ping") };
        holder.say(Word::Pong(Pong { nonce: ping.nonce })).await;
    };
    let stranger = Hello { process_id: 999, ..hello(0) };
    let (refusal, ()) = within(async { tokio::join!(refusal(&run, stranger), answering) }).await;
    assert!(
        matches!(&refusal, ServiceError::SlotTaken(m) if m.contains("slot 0") && m.contains("host-0"))
    );
    assert!(refusal.is_retryable());
    let _other = FakeWorker::join(&run, 1).await;
    holder.start().await;
}

#[tokio::test]
async fn a_holder_that_is_silent_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "2"]).await;
    let mut silent = FakeWorker::join(&run, 0).await;
    let stranger = Hello { process_id: 999, ..hello(0) };
    let mut successor = FakeWorker::join_as(&run, stranger).await.unwrap();
    assert!(matches!(silent.order().await, Ok(Some(Order::Ping(_)))));
    let Ok(Some(Order::Evict(evict))) = silent.order().await else { panic!("not evicted") };
    assert!(evict.reason.contains("did not answer"), "{}", evict.reason);
    let _other = FakeWorker::join(&run, 1).await;
    assert_eq!(successor.start().await.rank, 0);
}

#[tokio::test]
async fn a_slot_is_free_again_when_its_worker_leaves_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "2"]).await;
    drop(FakeWorker::join(&run, 0).await);
    let mut again = FakeWorker::join(&run, 0).await;
    let _other = FakeWorker::join(&run, 1).await;
    assert_eq!(again.start().await.world_size, 2);
}
