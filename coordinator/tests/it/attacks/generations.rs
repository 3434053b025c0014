//! Attacks with what belonged to an earlier generation.

use common::status::ServiceError;
use proto::{AddKeyRequest, GetKeysRequest, SamplesRequest, SetKeyRequest};
use tonic::Status;

use crate::files::checkpoint_files;
use crate::harness::{Caller, FakeWorker, TestRun, within};

fn stale<T: std::fmt::Debug>(what: &str, result: Result<T, Status>) {
    let error = ServiceError::from(result.unwrap_err());
    let is_stale = matches!(&error, ServiceError::Stale(m) if m.contains("generation 1, the current one is 2"));
    assert!(is_stale, "{what}: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_replayed_from_an_earlier_generation_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "2"]).await;
    let (mut workers, _) = FakeWorker::start_all(&run, 2).await;
    let set = SetKeyRequest { generation: 1, key: "rank 0".into(), value: "there".into() };
    within(workers[0].client.set_key(set.clone())).await.unwrap();
    workers[0].report_step(0, 0).await.unwrap();
    let mut lost = workers.pop().unwrap().client.clone();
    let mut first = workers.pop().unwrap();
    first.halted().await;
    first.leave(1, 1).await;
    let mut second = FakeWorker::join(&run, 1).await;
    assert_eq!((first.start().await.generation, second.start().await.generation), (2, 2));

    for _ in 0..20 {
        stale("set", within(lost.set_key(set.clone())).await);
        let add = AddKeyRequest { generation: 1, key: "count".into(), amount: 1 };
        stale("add", within(lost.add_key(add)).await);
        let get = GetKeysRequest { generation: 1, keys: vec!["rank 0".into()], timeout_ms: 0 };
        stale("get", within(lost.get_keys(get)).await);
        let samples = SamplesRequest { generation: 1, end_shard: 4, ..SamplesRequest::default() };
        stale("samples", within(lost.stream_samples(samples)).await);
    }
    let mut intruder = Caller::connect(&run.address, &run.access).await.unwrap();
    let (model, _) = checkpoint_files([0, 2, 2]);
    let put = intruder.put_as(1, &["checkpoints/last.safetensors"], &model, model.len() as u64);
    assert!(matches!(put.await, Err(ServiceError::Stale(_))));
    let report = intruder.report_step_in(1, 0, 1).await;
    assert!(matches!(report, Err(ServiceError::Stale(_))));

    // The next generation's store is its own.
    let get = GetKeysRequest { generation: 2, keys: vec!["rank 0".into()], timeout_ms: 0 };
    let missing =
        ServiceError::from(within(second.client.get_keys(get.clone())).await.unwrap_err());
    assert!(matches!(missing, ServiceError::TimedOut(_)), "{missing}");
    within(first.client.set_key(SetKeyRequest { generation: 2, ..set })).await.unwrap();
    assert_eq!(within(second.client.get_keys(get)).await.unwrap().into_inner().values, ["there"]);
    first.report_step_in(2, 0, 1).await.unwrap();
    for worker in [&first, &second] {
        worker.finish_in(2, false, 30).await;
    }
    assert_eq!(run.metrics_lines().len(), 2);
    assert_eq!(run.ended().await.exit_code(), 0);
}
