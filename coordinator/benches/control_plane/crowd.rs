//! All simulated workers of a measurement: lets them join, loses one, waits for what every one of them must see.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result};
use common::access::Line;
use proto::coordinator_client::CoordinatorClient;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, interval, timeout, timeout_at};
use tonic::transport::Endpoint;

use crate::program::Program;
use crate::simulated::{HEARTBEAT_INTERVAL, Happening, News, Shared, stay};

/// For one connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// The workers.
#[derive(Debug)]
pub struct Crowd {
    /// What they share.
    pub shared: Arc<Shared>,
    /// When the first one said Hello.
    pub began: Instant,
    /// Those that are gone without being lost on purpose, and why.
    pub gone: Vec<(u32, String)>,
    /// The others, by slot.
    members: BTreeMap<u32, Seen>,
    /// A step is done by all or by none.
    is_training: Arc<AtomicBool>,
    news: mpsc::UnboundedReceiver<News>,
    /// One task each, by slot.
    stays: Vec<AbortHandle>,
    /// End with the crowd.
    _tasks: JoinSet<()>,
}

/// What a member has seen.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    welcomed: Option<Instant>,
    /// The last generation it was told to begin.
    started: Option<(u64, Instant)>,
}

impl Crowd {
    /// Lets all `workers` say Hello at once, over `connections` connections.
    ///
    /// # Errors
    /// The coordinator cannot be reached.
    pub async fn gather(program: &Program, workers: u32, connections: u32) -> Result<Self> {
        let mut channels = Vec::new();
        for _ in 0..connections.min(workers) {
            channels.push(connect(program).await?);
        }
        let (told, news) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            step: AtomicU64::new(1),
            half_a_step_apart: AtomicBool::new(false),
            said: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            longest_wait: AtomicU64::new(0),
            news: told,
        });
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        let clients = channels.iter().cycle().cloned().map(CoordinatorClient::new);
        let stays = (0..workers)
            .zip(clients)
            .map(|(slot, client)| tasks.spawn(stay(client, slot, Arc::clone(&shared))));
        let stays = stays.collect();
        let is_training = Arc::new(AtomicBool::new(false));
        tasks.spawn(train(Arc::clone(&shared), Arc::clone(&is_training)));
        let members = (0..workers).map(|slot| (slot, Seen::default())).collect();
        Ok(Self {
            shared,
            began,
            gone: Vec::new(),
            members,
            is_training,
            news,
            stays,
            _tasks: tasks,
        })
    }

    /// Waits until every member is let in and says when the last one was.
    ///
    /// # Errors
    /// That takes too long.
    pub async fn welcomed(&mut self, patience: Duration) -> Result<Instant> {
        self.every("let in", patience, |seen| seen.welcomed).await
    }

    /// Waits until every member has begun a generation after `generation` and says when the last one did.
    ///
    /// # Errors
    /// That takes too long.
    pub async fn started_after(&mut self, generation: u64, patience: Duration) -> Result<Instant> {
        let what = format!("told to begin a generation after {generation}");
        let later = |seen: &Seen| seen.started.filter(|(its, _)| *its > generation);
        let last = self.every(&what, patience, |seen| later(seen).map(|(_, at)| at)).await?;
        self.is_training.store(true, Relaxed);
        Ok(last)
    }

    /// The generation that members were told to begin last.
    pub fn generation(&self) -> u64 {
        self.members.values().filter_map(|seen| seen.started).map(|(its, _)| its).max().unwrap_or(0)
    }

    /// Ends the session of the worker in a slot without a word, and says when; the training stands still then.
    pub fn lose(&mut self, slot: u32) -> Instant {
        let lost = Instant::now();
        self.is_training.store(false, Relaxed);
        self.members.remove(&slot);
        self.stays[slot as usize].abort();
        lost
    }

    /// The longest wait for the answer to a heartbeat since this was asked last.
    pub fn take_longest_wait(&self) -> Duration {
        Duration::from_micros(self.shared.longest_wait.swap(0, Relaxed))
    }

    /// Takes in what has happened so far.
    pub fn catch_up(&mut self) {
        while let Ok(news) = self.news.try_recv() {
            self.take_in(news);
        }
    }

    /// Waits until `seen` tells a time for every member, and returns the last of these.
    async fn every(
        &mut self,
        what: &str,
        patience: Duration,
        seen: impl Fn(&Seen) -> Option<Instant>,
    ) -> Result<Instant> {
        let deadline = Instant::now() + patience;
        let mut missing = self.members.values().filter(|member| seen(member).is_none()).count();
        let is_missing = |crowd: &Self, slot: u32| {
            crowd.members.get(&slot).is_some_and(|member| seen(member).is_none())
        };
        while missing > 0 {
            let news = timeout_at(deadline, self.news.recv()).await;
            let news = news.with_context(|| {
                let (all, gone) = (self.members.len(), self.gone.len());
                format!(
                    "{missing} of {all} workers are not {what} after {patience:?}, {gone} are gone"
                )
            })?;
            let news = news.context("no more news")?;
            let slot = news.slot;
            let was_missing = is_missing(self, slot);
            self.take_in(news);
            missing -= usize::from(was_missing && !is_missing(self, slot));
        }
        let last = self.members.values().filter_map(&seen).max();
        last.with_context(|| match self.gone.last() {
            Some((slot, how)) => format!("no worker is left; the last one, in slot {slot}: {how}"),
            None => "no worker is left".to_string(),
        })
    }

    fn take_in(&mut self, news: News) {
        let News { slot, at, what } = news;
        let Some(member) = self.members.get_mut(&slot) else {
            return;
        };
        match what {
            Happening::Welcomed => member.welcomed = Some(at),
            Happening::Started { generation } => member.started = Some((generation, at)),
            Happening::Gone { how } => {
                self.members.remove(&slot);
                self.gone.push((slot, how));
            }
        }
    }
}

/// Connects as workers do.
///
/// # Errors
/// The coordinator cannot be reached.
pub async fn connect(program: &Program) -> Result<Line> {
    let endpoint = Endpoint::from_shared(program.address.clone())?
        .tcp_nodelay(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20);
    let connecting = timeout(CONNECT_PATIENCE, program.access.connect(endpoint)).await;
    connecting.context("connecting took too long")?.context("connecting to the coordinator")
}

async fn train(shared: Arc<Shared>, is_training: Arc<AtomicBool>) {
    let mut steps = interval(HEARTBEAT_INTERVAL);
    loop {
        steps.tick().await;
        if is_training.load(Relaxed) {
            shared.step.fetch_add(1, Relaxed);
        }
    }
}
