//! The key-value store over the wire.

use common::status::ServiceError;
use proto::{AddKeyRequest, GetKeysRequest, SetKeyRequest};

use crate::harness::{FakeWorker, TestRun, within};

fn get(key: &str, timeout_ms: u64) -> GetKeysRequest {
    GetKeysRequest { generation: 1, keys: vec![key.to_string()], timeout_ms }
}

#[tokio::test]
async fn a_key_set_by_one_worker_wakes_another() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "2"]).await;
    let (mut workers, _) = FakeWorker::start_all(&run, 2).await;
    let mut reader = workers[0].client.clone();
    let reading = tokio::spawn(async move { reader.get_keys(get("rank 1", 20_000)).await });
    let set = SetKeyRequest { generation: 1, key: "rank 1".into(), value: "here".into() };
    within(workers[1].client.set_key(set.clone())).await.unwrap();
    assert_eq!(within(reading).await.unwrap().unwrap().into_inner().values, ["here"]);

    let add = AddKeyRequest { generation: 1, key: "count".into(), amount: 3 };
    within(workers[0].client.add_key(add.clone())).await.unwrap();
    let sum = within(workers[1].client.add_key(add)).await.unwrap().into_inner().value;
    assert_eq!(sum, 6);

    let missing = within(workers[0].client.get_keys(get("nobody", 10))).await.unwrap_err();
    let missing = ServiceError::from(missing);
    assert!(matches!(&missing, ServiceError::TimedOut(m) if m.contains("nobody")), "{missing}");
    let stale = within(workers[0].client.set_key(SetKeyRequest { generation: 2, ..set })).await;
    assert!(matches!(ServiceError::from(stale.unwrap_err()), ServiceError::Stale(_)));
}

#[tokio::test]
async fn a_lost_worker_reaches_whoever_waits_for_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "2"]).await;
    let (mut workers, _) = FakeWorker::start_all(&run, 2).await;
    let mut reader = workers[0].client.clone();
    let reading = tokio::spawn(async move { reader.get_keys(get("rank 1", 20_000)).await });
    tokio::task::yield_now().await;
    drop(workers.pop());
    // The next generation has a store of its own.
    workers[0].leave(1, 3).await;
    let _replacement = FakeWorker::join(&run, 1).await;
    let refused = ServiceError::from(within(reading).await.unwrap().unwrap_err());
    assert!(matches!(&refused, ServiceError::Stale(m) if m.contains("is 2")), "{refused}");
}
