//! `coordinator status`.

use common::access::Access;
use coordinator::commands::running_coordinator::{RunningCoordinator, StatusPlan};
use coordinator::commands::status::status;

use crate::harness::{FakeWorker, TestRun, within};

async fn ask(address: &str, json: bool) -> anyhow::Result<String> {
    let coordinator =
        RunningCoordinator { url: Some(address.to_string()), access: Access::default() };
    let plan = StatusPlan { coordinator, json };
    within(status(&plan)).await
}

#[tokio::test]
async fn it_shows_who_is_there_and_how_far_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "2"]).await;
    let mut first = FakeWorker::join(&run, 1).await;
    let waiting = ask(&run.address, false).await.unwrap();
    assert!(waiting.contains("1 of 2 workers are here, missing: rank 0"), "{waiting}");

    let _second = FakeWorker::join(&run, 0).await;
    first.start().await;
    first.beat(7).await;
    first.report_step(0, 6).await.unwrap();
    first.checkpoint(&["last"], [0, 7, 7]).await.unwrap();
    let table = ask(&run.address, false).await.unwrap();
    for expected in
        ["training", "step 7 of 30", "host-1", "checkpoints/last.safetensors", "synthetic"]
    {
        assert!(table.contains(expected), "{expected} is missing in\n{table}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&ask(&run.address, true).await.unwrap()).unwrap();
    assert_eq!(json["phase"], "training");
    assert_eq!(json["total_steps"], 30);
    assert_eq!(json["workers"][1]["step"], 7);
    assert_eq!(json["last_step"]["loss"].as_f64(), Some(0.1 + 0.2));
}

#[tokio::test]
async fn nobody_there_is_said_clearly() {
    let message = format!("{:#}", ask("http://127.0.0.1:1", false).await.unwrap_err());
    assert!(message.contains("no coordinator answers at http://127.0.0.1:1"), "{message}");
}
