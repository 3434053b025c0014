//! Losses, drains and crashes of the coordinator, seen by workers that only talk.

use coordinator::cluster::membership::Outcome;
use coordinator::commands::audit::{self, AuditPlan};
use coordinator::commands::operator;
use coordinator::commands::running_coordinator::{DrainPlan, RunningCoordinator, ScalePlan};
use proto::coordinator_message::Message as Order;
use proto::{HeldState, Hello, StartFrom};

use crate::harness::{FakeWorker, TestRun, at, hello, within};

async fn audit_of(folder: &tempfile::TempDir) -> String {
    let plan = AuditPlan { run_dir: folder.path().join("run"), json: false };
    audit::command(&plan).unwrap().text
}

#[tokio::test]
async fn the_others_go_on_from_memory_and_the_ledger_has_no_hole() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "2", "--min-workers", "1"]).await;
    let (mut workers, starts) = FakeWorker::start_all(&run, 2).await;
    assert_eq!(starts[0].start_from(), StartFrom::Seed);
    let mut first = workers.remove(0);
    first.beat(4).await;
    drop(workers);
    let (reason, at_once) = first.halted().await;
    assert!(at_once && reason.contains("rank 1 on host-1"), "{reason}");
    first.leave(1, 7).await;
    let start = first.start().await;
    assert_eq!((start.generation, start.world_size), (2, 1));
    assert_eq!((start.start_from(), start.source_rank), (StartFrom::Member, 0));
    assert!(start.lacking.is_empty());

    // What the lost one may have begun to send is refused from now on.
    let stale = first.put(&["pictures/late.png"], b"late").await;
    assert!(stale.unwrap_err().to_string().contains("generation 1"));
    first.finish_in(2, false, 30).await;
    assert!(matches!(first.order().await, Ok(Some(Order::Goodbye(_)))));
    assert_eq!(run.ended().await.outcome, Outcome::Completed);
    let audit = audit_of(&folder).await;
    for expected in
        ["30 of 30 steps", "2 generations", "1 workers lost", "3 epochs used each of 97"]
    {
        assert!(audit.contains(expected), "{expected} is missing in\n{audit}");
    }
}

#[tokio::test]
async fn a_newcomer_is_told_whose_state_to_take() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "2"]).await;
    let (mut workers, _) = FakeWorker::start_all(&run, 2).await;
    let mut second = workers.pop().unwrap();
    drop(workers);
    second.halted().await;
    second.leave(1, 7).await;
    let stranger = Hello { process_id: 999, ..hello(0) };
    let mut newcomer = FakeWorker::join_as(&run, stranger).await.unwrap();
    for worker in [&mut newcomer, &mut second] {
        let start = worker.start().await;
        assert_eq!((start.generation, start.source_rank, &start.lacking[..]), (2, 1, &[0][..]));
    }
}

#[tokio::test]
async fn a_line_of_metrics_that_is_reported_again_is_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "2", "--min-workers", "1"]).await;
    let (mut workers, _) = FakeWorker::start_all(&run, 2).await;
    let mut second = workers.pop().unwrap();
    workers[0].report_step(0, 0).await.unwrap();
    workers[0].report_step(0, 1).await.unwrap();
    drop(workers);
    second.halted().await;
    second.leave(1, 3).await;
    second.start().await;
    for step in [1, 2] {
        second.report_step_in(2, 0, step).await.unwrap();
    }
    let steps: Vec<_> = run.metrics_lines().iter().map(|line| line["step"].clone()).collect();
    assert_eq!(steps, [0, 1, 2]);
}

#[tokio::test]
async fn a_killed_coordinator_is_followed_by_one_that_takes_the_workers_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "2"]).await;
    let (mut workers, starts) = FakeWorker::start_all(&run, 2).await;
    workers[0].checkpoint(&["last"], [0, 5, 5]).await.unwrap();
    let identity = starts[0].run.clone();
    run.kill().await;
    drop(workers);

    let run = TestRun::resume(&folder, &[]).await;
    let held = |step| Some(HeldState { run: identity.clone(), generation: 1, reached: at(step) });
    let mut first = FakeWorker::join_as(&run, Hello { held: held(8), ..hello(0) }).await.unwrap();
    let mut second = FakeWorker::join_as(&run, Hello { held: held(9), ..hello(1) }).await.unwrap();
    let start = first.start().await;
    assert_eq!((start.generation, start.run.as_str()), (2, identity.as_str()));
    assert_eq!(
        (start.start_from(), start.source_rank, start.lacking),
        (StartFrom::Member, 1, vec![0])
    );
    second.start().await;
    let audit = audit_of(&folder).await;
    assert!(audit.contains("9 of 30 steps") && !audit.contains("NOT"), "{audit}");
}

#[tokio::test]
async fn without_survivors_the_checkpoint_is_used_after_the_wait() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "1"]).await;
    let (mut workers, _) = FakeWorker::start_all(&run, 1).await;
    workers[0].checkpoint(&["last"], [0, 5, 5]).await.unwrap();
    workers[0].report_step(0, 6).await.unwrap();
    run.kill().await;
    drop(workers);
    let run = TestRun::resume(&folder, &["--rejoin-timeout", "0.5"]).await;
    let stranger = Hello { process_id: 999, ..hello(0) };
    let mut worker = FakeWorker::join_as(&run, stranger).await.unwrap();
    let start = worker.start().await;
    assert_eq!((start.generation, start.start_from()), (2, StartFrom::Checkpoint));
    assert!(run.metrics_lines().is_empty(), "the line of step 6 is void");
}

#[tokio::test]
async fn a_worker_is_drained_and_the_run_scaled() {
    let folder = tempfile::tempdir().unwrap();
    let run =
        TestRun::start(&folder, &["--workers", "2", "--max-workers", "3", "--min-workers", "1"])
            .await;
    let (mut workers, _) = FakeWorker::start_all(&run, 2).await;
    let coordinator =
        RunningCoordinator { url: Some(run.address.clone()), access: run.access.clone() };
    let drain = |rank| DrainPlan { rank, coordinator: coordinator.clone() };
    let nobody = within(operator::drain(&drain(2))).await.unwrap_err().to_string();
    assert!(nobody.contains("no worker in slot 2; workers are in 0, 1"), "{nobody}");
    within(operator::drain(&drain(0))).await.unwrap();
    for worker in &mut workers {
        let (reason, at_once) = worker.halted().await;
        assert!(!at_once && reason.contains("leaves"), "{reason}");
        worker.leave(1, 5).await;
    }
    assert!(matches!(workers[0].order().await, Ok(Some(Order::Goodbye(_)))));
    assert_eq!(workers[1].start().await.world_size, 1);

    let scale = |workers| ScalePlan { workers, coordinator: coordinator.clone() };
    let refused = within(operator::scale(&scale(4))).await.unwrap_err().to_string();
    assert!(refused.contains("1 to 3 workers, not 4") && refused.contains("--max-workers"));
    let answer = within(operator::scale(&scale(3))).await.unwrap();
    assert!(answer.contains("2 workers are welcome beside the 1"), "{answer}");
}

#[tokio::test]
async fn a_silent_worker_is_evicted_and_learns_it() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--workers", "2", "--min-workers", "1"];
    let timing = ["--heartbeat-interval", "0.1", "--heartbeat-timeout", "0.4"];
    let run = TestRun::start(&folder, &[&flags[..], &timing[..]].concat()).await;
    let (mut workers, _) = FakeWorker::start_all(&run, 2).await;
    let mut second = workers.pop().unwrap();
    let mut first = workers.pop().unwrap();
    let halted = loop {
        first.beat(1).await;
        let next = tokio::time::timeout(std::time::Duration::from_millis(100), first.order()).await;
        if let Ok(order) = next {
            break order;
        }
    };
    let Ok(Some(Order::Halt(halt))) = halted else { panic!("{halted:?}") };
    assert!(halt.reason.contains("rank 1 on host-1 has not been heard from for 0.8 s"));
    let Ok(Some(Order::Evict(_))) = second.order().await else { panic!("not evicted") };
}

#[tokio::test]
async fn a_picture_that_was_the_last_for_a_while_goes() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--workers", "2", "--min-workers", "1", "--picture-every", "2"];
    let run = TestRun::start(&folder, &flags).await;
    let (mut workers, _) = FakeWorker::start_all(&run, 2).await;
    let mut second = workers.pop().unwrap();
    for epoch in [0, 1, 2] {
        workers[0].put(&[&format!("pictures/epoch={epoch}.png")], b"picture").await.unwrap();
    }
    drop(workers);
    second.halted().await;
    second.leave(1, 25).await;
    let start = second.start().await;
    let is_there = |epoch| run.root.join(format!("pictures/epoch={epoch}.png")).exists();
    assert_eq!([0, 1, 2].map(is_there), [true, false, true]);
    assert_eq!(start.pictures_from, 2, "two epochs are complete, and what is due of them is there");
}
