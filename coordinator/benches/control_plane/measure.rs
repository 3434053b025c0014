//! The course of one measurement: workers join, train for a while, lose one of them twice; an epoch is streamed.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use common::access::Line;
use common::ids::Epoch;
use common::plan::{self, Shuffle};
use proto::coordinator_client::CoordinatorClient;
use proto::{SamplesRequest, Split};
use tokio::time::{Instant, sleep, timeout};

use crate::crowd::{Crowd, connect};
use crate::program::{Program, SAMPLES};
use crate::setting::Setting;

/// For all workers to join.
const JOIN_PATIENCE: Duration = Duration::from_secs(240);
/// For all of them to begin a generation.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// For a whole epoch of samples.
const EPOCH_PATIENCE: Duration = Duration::from_secs(60);
/// Heartbeats are counted so long,
const COUNTING: Duration = Duration::from_secs(10);
/// and from so long after the start, when those that had to wait for it are answered.
const SETTLING: Duration = Duration::from_secs(4);
/// Epochs that are streamed one after the other.
const EPOCHS: usize = 9;
/// Permutations whose mean time is told.
const PERMUTATIONS: u32 = 20;
/// Workers gone astray that are named.
const NAMED: usize = 5;

/// What was measured.
#[derive(Debug)]
pub struct Figures {
    /// Simulated workers.
    pub workers: u32,
    /// From the first Hello to the last Welcome.
    pub joining: Duration,
    /// From the first Hello to the last Start of the first generation.
    pub starting: Duration,
    /// Heartbeats said, and answered, per second.
    pub heartbeats: (f64, f64),
    /// The longest wait for the answer to a heartbeat: while workers joined, and after that.
    pub longest_waits: (Duration, Duration),
    /// From a loss to the last Start of the next generation, where all others hold the state of the same step.
    pub change: Duration,
    /// The same, where half of them hold that of the step before.
    pub uneven_change: Duration,
    /// The coordinator's, bytes.
    pub peak_memory: u64,
    /// Workers that were evicted, refused or disconnected though nothing was wrong with them.
    pub astray: usize,
    /// To draw the order of one epoch.
    pub permutation: Duration,
    /// To stream all samples of one epoch, the median of several, and how many bytes these are.
    pub epoch: (Duration, u64),
}

/// Measures with one number of workers.
///
/// # Errors
/// Something took longer than its deadline, or the coordinator is gone.
pub async fn measure(setting: Setting<'_>) -> Result<Figures> {
    eprintln!("{} workers: starting the coordinator", setting.workers);
    let program = Program::start(setting).await?;
    take_figures(&program, setting).await.map_err(|error| program.explain(error))
}

async fn take_figures(program: &Program, setting: Setting<'_>) -> Result<Figures> {
    let Setting { workers, connections, .. } = setting;
    let mut crowd = Crowd::gather(program, workers, connections).await?;
    let joining = crowd.welcomed(JOIN_PATIENCE).await? - crowd.began;
    eprintln!("{workers} workers: joined after {joining:.2?}");
    let starting = crowd.started_after(0, START_PATIENCE).await? - crowd.began;
    eprintln!("{workers} workers: started after {starting:.2?}, counting heartbeats");
    sleep(SETTLING).await;
    let longest_wait = crowd.take_longest_wait();
    let heartbeats = count_heartbeats(&crowd).await;
    let change = change_generation(&mut crowd, workers / 2).await?;
    eprintln!("{workers} workers: the next generation began after {change:.2?}");
    crowd.shared.half_a_step_apart.store(true, Relaxed);
    let uneven_change = change_generation(&mut crowd, workers / 2 + 1).await?;
    eprintln!("{workers} workers: and the one after it after {uneven_change:.2?}");
    let epoch = stream_epochs(program, crowd.generation(), workers).await?;
    crowd.catch_up();
    for (slot, how) in crowd.gone.iter().take(NAMED) {
        eprintln!("{workers} workers: the one in slot {slot} is gone: {how}");
    }
    Ok(Figures {
        workers,
        joining,
        starting,
        heartbeats,
        longest_waits: (longest_wait, crowd.take_longest_wait()),
        change,
        uneven_change,
        peak_memory: program.peak_memory()?,
        astray: crowd.gone.len(),
        permutation: time_permutation(),
        epoch,
    })
}

/// Heartbeats said and answered, per second.
async fn count_heartbeats(crowd: &Crowd) -> (f64, f64) {
    let counted = || (crowd.shared.said.load(Relaxed), crowd.shared.answered.load(Relaxed));
    let (begin, before) = (Instant::now(), counted());
    sleep(COUNTING).await;
    let (seconds, after) = (begin.elapsed().as_secs_f64(), counted());
    ((after.0 - before.0) as f64 / seconds, (after.1 - before.1) as f64 / seconds)
}

/// From the loss of the worker in `slot` to the last other's Start.
async fn change_generation(crowd: &mut Crowd, slot: u32) -> Result<Duration> {
    crowd.catch_up();
    let generation = crowd.generation();
    let lost = crowd.lose(slot);
    let last = crowd.started_after(generation, START_PATIENCE).await?;
    Ok(last - lost)
}

/// How long all samples of an epoch take to one receiver, the median of several, and how many bytes they are.
async fn stream_epochs(program: &Program, generation: u64, shards: u32) -> Result<(Duration, u64)> {
    let mut client = CoordinatorClient::new(connect(program).await?);
    let mut epochs = Vec::new();
    for _ in 0..EPOCHS {
        epochs.push(stream_epoch(&mut client, generation, shards).await?);
    }
    epochs.sort();
    Ok(epochs[EPOCHS / 2])
}

async fn stream_epoch(
    client: &mut CoordinatorClient<Line>,
    generation: u64,
    shards: u32,
) -> Result<(Duration, u64)> {
    let request = SamplesRequest {
        generation,
        split: Split::Train.into(),
        epoch: 0,
        first_step: 0,
        first_shard: 0,
        end_shard: shards,
        checking: None,
    };
    let begin = Instant::now();
    let receiving = async {
        let mut blocks = client.stream_samples(request).await?.into_inner();
        let (mut samples, mut bytes) = (0, 0);
        while let Some(block) = blocks.message().await? {
            samples += block.labels.len();
            bytes += (block.images.len() + block.labels.len()) as u64;
        }
        Ok::<_, tonic::Status>((samples, bytes))
    };
    let received = timeout(EPOCH_PATIENCE, receiving).await;
    let (samples, bytes) =
        received.context("an epoch took too long")?.context("receiving an epoch")?;
    ensure!(samples == SAMPLES, "an epoch of {SAMPLES} samples came with {samples}");
    Ok((begin.elapsed(), bytes))
}

/// The mean over some epochs.
fn time_permutation() -> Duration {
    let begin = Instant::now();
    for epoch in (0..u64::from(PERMUTATIONS)).map(Epoch) {
        std::hint::black_box(plan::permutation(SAMPLES, 0, epoch, Shuffle::EveryEpoch));
    }
    begin.elapsed() / PERMUTATIONS
}
