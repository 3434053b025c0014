//! The coordinator killed between any two changes of its run directory: what is left can be gone on with, and what was
//! acknowledged is there.

use std::path::Path;
use std::process::Command;

use common::status::ServiceError;
use coordinator::run_directory::crash;
use nix::sys::signal::Signal;
use proto::coordinator_message::Message as Order;
use proto::report_metrics_request::Metrics;
use proto::{EpochMetrics, ReportMetricsRequest, StartFrom};

use crate::command_line::PROGRAM;
use crate::files::{archive, checkpoint_files, features};
use crate::harness::{FakeWorker, hello, within};
use crate::program::{Process, address_after, arguments, eventually};

/// Nobody comes back with the run's state, and nobody is to be waited for.
const ALONE: [&str; 4] = ["--workers", "1", "--rejoin-timeout", "0.1"];
/// More places than a run comes to.
const FAR: u64 = 1000;

/// The small settings, but three steps an epoch.
fn settings(root: &Path) -> Vec<String> {
    let mut all = arguments(root);
    let flag = all.iter().position(|argument| argument == "--batch-size").unwrap();
    all[flag + 1] = "33".to_string();
    all
}

/// What the coordinator has acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    checkpoint: Option<[u64; 3]>,
    steps: u64,
}

/// A run of two epochs that stores all that a run stores, up to the coordinator's end.
async fn run(worker: &mut FakeWorker, done: &mut Acknowledged) -> Result<(), ServiceError> {
    for step in 0..6 {
        worker.report_step(step / 3, step).await?;
        done.steps = step + 1;
        let [epoch, within_epoch] = [(step + 1) / 3, (step + 1) % 3];
        let position = [epoch, within_epoch, step + 1];
        if within_epoch == 0 {
            let finished = step / 3;
            let epoch = EpochMetrics { epoch: finished, loss: 0.5, ..EpochMetrics::default() };
            let request =
                ReportMetricsRequest { generation: 1, metrics: Some(Metrics::Epoch(epoch)) };
            within(worker.client.report_metrics(request)).await.map_err(ServiceError::from)?;
            worker
                .put(
                    &[&format!("features/epoch={finished}.safetensors")],
                    &archive(&features(97), None),
                )
                .await?;
            worker.checkpoint(&[&format!("epoch={finished}"), "last"], position).await?;
            worker.put(&[&format!("pictures/epoch={finished}.png")], b"picture").await?;
        } else {
            worker.checkpoint(&["last"], position).await?;
        }
        done.checkpoint = Some(position);
    }
    Ok(())
}

/// Starts the program and trains with it until it is killed at its `place`; `None` if it never came to that place.
async fn crash_at(root: &Path, place: u64) -> Option<Acknowledged> {
    let mut command = Command::new(PROGRAM);
    command.args(settings(root)).args(ALONE).args(["--keep", "1"]);
    command.env(crash::VARIABLE, place.to_string());
    let mut process = Process::start(&mut command);
    let mut done = Acknowledged::default();
    let address = eventually("the address, or the end", || {
        let ended = process.status().map(|_| None);
        address_after(root, 0).map(Some).or(ended)
    });
    if let Some(address) = address
        && let Ok(mut worker) = FakeWorker::join_at(&address, hello(0)).await
        && matches!(worker.order().await, Ok(Some(Order::Start(_))))
        && run(&mut worker, &mut done).await.is_ok()
    {
        return None;
    }
    assert_eq!(process.end().0, None, "nothing but a signal ends it");
    Some(done)
}

/// Goes on with what the crash left.
async fn check_resumes(root: &Path, done: &Acknowledged) {
    let has_begun = root.join("config.toml").exists();
    let mut command = Command::new(PROGRAM);
    if has_begun {
        command.args(["--listen", "127.0.0.1:0", "--resume"]).arg(root);
    } else {
        assert!(done.steps == 0);
        command.args(settings(root)).args(ALONE);
    }
    // It may listen where the one before did.
    let earlier = usize::from(address_after(root, 0).is_some());
    let mut process = Process::start(&mut command);
    let address = eventually("another coordinator", || {
        if let Some(status) = process.status() {
            panic!("{status}: {}", process.printed());
        }
        address_after(root, earlier)
    });
    let mut worker = FakeWorker::join_at(&address, hello(0)).await.unwrap();
    let start = worker.start().await;
    let resumed = match start.start_from() {
        StartFrom::Seed => None,
        StartFrom::Checkpoint => Some(stored(&mut worker).await),
        other => panic!("{other:?}"),
    };
    assert!(resumed >= done.checkpoint, "{resumed:?} after {:?} was acknowledged", done.checkpoint);
    check_metrics(root, resumed.map_or(0, |[_, _, step]| step));
    process.signal(Signal::SIGKILL);
    process.end();
    for folder in ["", "checkpoints", "features", "pictures"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let name = entry.unwrap().file_name();
            assert!(!name.to_string_lossy().starts_with(".unfinished"), "{name:?} is left");
        }
    }
}

/// The position of the last checkpoint, whose two files must belong together.
async fn stored(worker: &mut FakeWorker) -> [u64; 3] {
    let model = worker.get("checkpoints/last.safetensors").await.unwrap();
    let resume = worker.get("checkpoints/last.resume.safetensors").await.unwrap();
    let positions = (1..=6).map(|step| [step / 3, step % 3, step]);
    let mut positions =
        positions.filter(|position| checkpoint_files(*position) == (model.clone(), resume.clone()));
    positions.next().expect("the two files are those of one step")
}

/// Whole lines, each step once, none after the checkpoint.
fn check_metrics(root: &Path, step: u64) {
    let text = std::fs::read_to_string(root.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let steps: Vec<u64> = lines
        .filter(|line| line["kind"] == "step")
        .map(|line| line["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, (0..step).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_the_coordinator_is_killed_the_run_can_be_resumed() {
    let mut places = 0;
    for place in 1..FAR {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("run");
        let Some(done) = crash_at(&root, place).await else { break };
        check_resumes(&root, &done).await;
        places = place;
    }
    println!("killed at {places} places");
    assert!((100..FAR - 1).contains(&places), "killed at {places} places");
}
