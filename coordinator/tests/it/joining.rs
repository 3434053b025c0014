//! Who may join, and what a started worker is told.

use common::status::ServiceError;
use proto::coordinator_message::Message as Order;
use proto::worker_message::Message as Word;
use proto::{Hello, PROTOCOL_VERSION, Pong, StartFrom};
use tokio::task::JoinSet;

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
    let spoken = format!("version {PROTOCOL_VERSION}");
    assert!(
        matches!(&old, ServiceError::IncompatibleVersion(m) if m.contains("version 9") && m.contains(&spoken)),
        "{old}"
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
async fn workers_are_told_who_shares_their_machine() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "3", "--logical-shards", "3"]).await;
    let mut workers = Vec::new();
    for (slot, machine) in (0..).zip(["a", "b", "a"]) {
        let hello = Hello { machine: machine.to_string(), ..hello(slot) };
        workers.push(FakeWorker::join_as(&run, hello).await.unwrap());
    }
    let mut places = Vec::new();
    for worker in &mut workers {
        let start = worker.start().await;
        places.push((start.local_rank, start.local_world_size));
    }
    assert_eq!(places, [(0, 2), (0, 1), (1, 2)]);
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

/// A worker without `--rank`, on a host of its own.
fn anywhere(number: u32) -> Hello {
    Hello { slot: None, ..hello(number) }
}

/// The ranks that workers are told at the start of a generation, in ascending order.
async fn ranks(workers: &mut [FakeWorker]) -> Vec<u32> {
    let mut ranks = Vec::new();
    for worker in workers {
        ranks.push(worker.start().await.rank);
    }
    ranks.sort_unstable();
    ranks
}

#[tokio::test]
async fn workers_without_a_rank_that_join_at_once_share_the_slots() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "16", "--logical-shards", "16"]).await;
    let mut joining = JoinSet::new();
    for number in 0..16 {
        let (address, access) = (run.address.clone(), run.access.clone());
        let worker =
            async move { FakeWorker::join_with(&address, &access, anywhere(number)).await };
        joining.spawn(worker);
    }
    let mut workers: Vec<_> = joining.join_all().await.into_iter().map(Result::unwrap).collect();
    let mut slots: Vec<u32> = Vec::new();
    for worker in &mut workers {
        slots.push(worker.welcome().await.slot);
    }
    slots.sort_unstable();
    assert_eq!(slots, (0..16).collect::<Vec<_>>());
    let surplus = refusal(&run, anywhere(16)).await;
    assert!(matches!(&surplus, ServiceError::SlotTaken(m) if m.contains("16 slots")), "{surplus}");
    assert_eq!(ranks(&mut workers).await, (0..16).collect::<Vec<_>>());
}

#[tokio::test]
async fn given_and_chosen_slots_mix_and_a_loss_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "3"]).await;
    let mut chosen = FakeWorker::join(&run, 1).await;
    let mut given = Vec::new();
    for (number, slot) in [(7, 0), (8, 2)] {
        let mut worker = FakeWorker::join_as(&run, anywhere(number)).await.unwrap();
        assert_eq!(worker.welcome().await.slot, slot);
        given.push(worker);
    }
    assert_eq!(chosen.start().await.rank, 1);
    assert_eq!(ranks(&mut given).await, [0, 2]);
    drop(given.remove(0));
    for worker in [&mut chosen, &mut given[0]] {
        assert!(worker.halted().await.1, "not at once");
        worker.leave(1, 0).await;
    }
    let mut another = FakeWorker::join_as(&run, anywhere(9)).await.unwrap();
    assert_eq!(another.welcome().await.slot, 0);
    let start = another.start().await;
    assert_eq!((start.generation, start.rank, start.lacking), (2, 0, vec![0]));
}

#[tokio::test]
async fn a_worker_that_was_given_a_slot_comes_back_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "2", "--max-workers", "4"]).await;
    let first = FakeWorker::join_as(&run, anywhere(5)).await.unwrap();
    let mut second = FakeWorker::join_as(&run, anywhere(6)).await.unwrap();
    second.start().await;
    drop(first);
    assert!(second.halted().await.1);
    second.leave(1, 0).await;
    // It asks for the slot that it was given.
    let again = Hello { slot: Some(0), ..anywhere(5) };
    let mut again = FakeWorker::join_as(&run, again).await.unwrap();
    assert_eq!(again.welcome().await.slot, 0);
    assert_eq!((again.start().await.rank, second.start().await.rank), (0, 1));
}
