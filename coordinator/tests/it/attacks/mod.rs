//! Hostile clients beside an honest run: each attack is refused, and the run goes on and ends well.
//!
//! - this file: the honest run;
//! - `door`: connections, certificates, joins;
//! - `words`: messages of a session, and those that are too large;
//! - `results`: metrics and files;
//! - `generations`: what belongs to an earlier generation.
//!
//! Wrong tokens, foreign and missing certificates are in `tls`, tricks with paths in `artifacts`.

mod door;
mod generations;
mod results;
mod words;

use std::time::{Duration, Instant};

use proto::coordinator_message::Message as Order;
use proto::worker_message::Message as Word;
use proto::{Heartbeat, Pong, SamplesRequest, SetKeyRequest};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::harness::{Caller, FakeWorker, TestRun, within};

/// Room for a third worker that is no member of the generation; steps enough for any test.
const FLAGS: [&str; 8] =
    ["--workers", "2", "--max-workers", "3", "--logical-shards", "2", "--epochs", "1000"];
const STEPS_PER_EPOCH: u64 = 10;
/// Samples of an epoch that the second worker consumes: the smaller half of each batch.
const SECOND_HALF: usize = 48;
/// Nothing that an honest worker asks for takes longer, whatever is going on.
const PATIENCE: Duration = Duration::from_secs(5);

/// A run with two workers that train until they are told that the attack is over.
struct Honest {
    run: TestRun,
    over: CancellationToken,
    training: JoinHandle<u64>,
}

impl Honest {
    async fn begin(folder: &TempDir) -> Self {
        Self::train(TestRun::start(folder, &FLAGS).await).await
    }

    async fn train(run: TestRun) -> Self {
        let (mut workers, _) = FakeWorker::start_all(&run, 2).await;
        let (second, first) = (workers.pop().unwrap(), workers.pop().unwrap());
        let over = CancellationToken::new();
        let training = tokio::spawn(train(first, second, over.clone()));
        Self { run, over, training }
    }

    /// Somebody who has come in, and nothing more.
    async fn intruder(&self) -> Caller {
        Caller::connect(&self.run.address, &self.run.access).await.unwrap()
    }

    /// The attack is over: the run ends with all that its workers have reported, and nothing else.
    async fn ends_well(self) -> Vec<serde_json::Value> {
        let Self { run, over, training } = self;
        tokio::time::sleep(Duration::from_millis(100)).await;
        over.cancel();
        let steps = within(training).await.unwrap();
        let lines = run.metrics_lines();
        let reported: Vec<_> = lines.iter().map(|line| line["step"].as_u64().unwrap()).collect();
        assert_eq!(reported, (0..steps).collect::<Vec<_>>());
        assert!(lines.iter().all(|line| line["loss"].as_f64() == Some(0.1 + 0.2)));
        let root = run.root.clone();
        assert_eq!(run.ended().await.exit_code(), 0);
        let events = std::fs::read_to_string(root.join("events.jsonl")).unwrap();
        let events: Vec<serde_json::Value> =
            events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let generations = events.iter().filter(|event| event["kind"] == "generation").count();
        assert_eq!(generations, 1, "it was disturbed: {events:?}");
        events
    }
}

/// Does what workers do, each thing within its time, and returns how many steps it took.
async fn train(mut first: FakeWorker, mut second: FakeWorker, over: CancellationToken) -> u64 {
    let mut step = 0;
    while !over.is_cancelled() {
        let begin = Instant::now();
        let (epoch, in_epoch) = (step / STEPS_PER_EPOCH, step % STEPS_PER_EPOCH);
        first.report_step(epoch, step).await.unwrap();
        if in_epoch == 0 {
            first.checkpoint(&["last"], [epoch, 1, step + 1]).await.unwrap();
            let key = SetKeyRequest { generation: 1, key: "rank 0".into(), value: "here".into() };
            within(first.client.set_key(key)).await.unwrap();
            assert_eq!(samples(&mut second, epoch).await, SECOND_HALF);
        }
        step += 1;
        for worker in [&mut first, &mut second] {
            is_heard(worker, step).await;
        }
        assert!(begin.elapsed() < PATIENCE, "step {step} took {:?}", begin.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for worker in [&first, &second] {
        worker.finish_in(1, false, step).await;
    }
    for worker in [&mut first, &mut second] {
        assert!(matches!(worker.order().await, Ok(Some(Order::Goodbye(_)))));
    }
    step
}

async fn samples(worker: &mut FakeWorker, epoch: u64) -> usize {
    let request = SamplesRequest {
        generation: 1,
        epoch,
        first_shard: 1,
        end_shard: 2,
        ..SamplesRequest::default()
    };
    let mut blocks = within(worker.client.stream_samples(request)).await.unwrap().into_inner();
    let mut count = 0;
    while let Some(block) = within(blocks.message()).await.unwrap() {
        count += block.labels.len();
    }
    count
}

/// Says a heartbeat and waits for its answer. Pings are answered; anything else would be a disturbance.
async fn is_heard(worker: &mut FakeWorker, step: u64) {
    let heartbeat = Heartbeat { generation: 1, step, ..Heartbeat::default() };
    worker.say(Word::Heartbeat(heartbeat)).await;
    loop {
        let order = within(worker.orders.message()).await.unwrap().unwrap().message.unwrap();
        match order {
            Order::Heard(_) => return,
            Order::Ping(ping) => worker.say(Word::Pong(Pong { nonce: ping.nonce })).await,
            Order::Welcome(_) => {}
            other => panic!("disturbed by {other:?}"),
        }
    }
}
