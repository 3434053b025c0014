//! A coordinator's run to call: the real service over a run directory of its own, without a network.
//!
//! Time passes only where everybody waits, and then at once, so that deadlines of minutes cost nothing.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use common::config::Config;
use common::config::schedule;
use coordinator::clock::Clock;
use coordinator::cluster::membership::Timing;
use coordinator::commands::audit::{self, RunShape};
use coordinator::data::{Data, DataIdentity};
use coordinator::run::assembly::share;
use coordinator::run::prepare::Prepared;
use coordinator::run_directory::artifact_path::FOLDERS;
use coordinator::run_directory::ledger::Summary;
use coordinator::run_directory::{DIGESTS, EVENTS, LOCK, METRICS, RunDirectory};
use coordinator::service::board::Record;
use coordinator::service::{Service, Shared};
use dataset::Samples;
use prost::Message;
use proto::worker_message::Message as Word;
use proto::{Hello, PROTOCOL_VERSION, StartFrom, WorkerMessage};
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tonic::codegen::Bytes;

use crate::calls::Server;
use crate::{config, folder};

/// Training and test samples.
pub const SAMPLES: (usize, usize) = (50, 20);
/// Steps of an epoch.
pub const STEPS_PER_EPOCH: u64 = 8;
/// Epochs of the run.
pub const EPOCHS: u64 = 3;
/// The run's identity, as its workers know it.
pub const IDENTITY: &str = "run";
/// What the run starts from.
pub const INITIAL: &[u8] = &[7; 1000];

/// A small network; two pictures of everything; one worker begins, three more may come.
const FLAGS: [&str; 18] = [
    "--max-workers",
    "4",
    "--logical-shards",
    "3",
    "--batch-size",
    "7",
    "--test-batch-size",
    "9",
    "--epochs",
    "3",
    "--network",
    "mlp",
    "--feature-dim",
    "1",
    "--keep",
    "2",
    "--picture-format",
    "png,svg",
];

/// The run's settings.
pub static CONFIG: LazyLock<Config> = LazyLock::new(|| config(&FLAGS));

/// Which samples these are.
pub fn data_identity() -> DataIdentity {
    let (train_samples, test_samples) = (SAMPLES.0 as u64, SAMPLES.1 as u64);
    DataIdentity { train_samples, test_samples, ..DataIdentity::of_digits() }
}

static DATA: LazyLock<Arc<Data>> = LazyLock::new(|| {
    let samples = |count: usize| Samples::new(vec![1; count * 784], vec![1; count]);
    let identity = data_identity();
    let (train, test) = (samples(SAMPLES.0), samples(SAMPLES.1));
    Arc::new(Data { identity, synthetic: false, measured: None, train, test })
});

/// A file below the run directory: which one it is, and its length.
pub type Stamp = (u64, u64);

/// The run.
#[derive(Debug)]
pub struct Run {
    /// What its handlers share.
    pub shared: Arc<Shared>,
    /// Answers calls.
    pub server: Server,
    outside: PathBuf,
}

impl Run {
    /// Gives `play` a run that nobody has joined, and looks at what is left of it.
    pub fn play(play: impl AsyncFnOnce(&Run)) {
        let folder = folder();
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("it needs nothing").block_on(async {
            let run = Self::begin(folder.path());
            play(&run).await;
            run.end().await;
        });
    }

    fn begin(outside: &Path) -> Self {
        let directory = RunDirectory::create(&outside.join("run"), CONFIG.keep);
        let prepared = prepared(directory.expect("it is new"), Summary::default());
        let shared = shared(prepared);
        let (cluster, cancel) = (Arc::clone(&shared.cluster), shared.cancel.clone());
        shared.tasks.spawn(async move { cluster.tick(cancel).await });
        let server = Server::new(Service(Arc::clone(&shared)));
        Self { shared, server, outside: outside.to_path_buf() }
    }

    async fn end(self) {
        pass(Duration::ZERO).await;
        let view = self.shared.cluster.view();
        assert!(!view.reason.contains("cannot store"), "{}", view.reason);
        self.shared.cancel.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        self.check_files();
        self.check_ledger();
    }

    /// Every file below the run directory that comes from workers.
    pub fn results(&self) -> BTreeMap<PathBuf, Stamp> {
        let root = self.shared.directory.root();
        let folders = FOLDERS.iter().flat_map(|folder| names(&root.join(folder)));
        let files = folders.chain([METRICS, DIGESTS].map(|name| root.join(name))).map(|path| {
            let data = fs::symlink_metadata(&path).expect("it was listed");
            assert!(data.is_file(), "{path:?}");
            (path, (data.ino(), data.len()))
        });
        files.collect()
    }

    /// Nothing is where it should not be, and nothing unfinished is left.
    fn check_files(&self) {
        let root = self.shared.directory.root();
        assert_eq!(names(&self.outside), [root.to_path_buf()]);
        let mut expected: Vec<PathBuf> = FOLDERS
            .iter()
            .chain(&[LOCK, METRICS, DIGESTS, EVENTS])
            .map(|name| root.join(name))
            .collect();
        expected.sort();
        assert_eq!(names(root), expected);
        for path in self.results().keys() {
            let name = path.file_name().and_then(OsStr::to_str).expect("names are ASCII");
            assert!(!name.starts_with('.'), "{path:?} is left");
        }
    }

    /// Whatever workers say, the ledger tells that every sample was used once.
    fn check_ledger(&self) {
        let lines = self.shared.directory.events().expect("the coordinator wrote it");
        let shape = RunShape {
            samples: SAMPLES.0 as u64,
            batch_size: CONFIG.batch_size,
            total_steps: schedule::total_steps(&CONFIG, SAMPLES.0),
        };
        let findings = audit::audit(&lines, shape);
        assert!(findings.faults.is_empty(), "{:?}", findings.faults);
    }
}

/// What a coordinator has in hand that takes up the run in `directory`.
pub fn prepared(directory: RunDirectory, history: Summary) -> Prepared {
    Prepared {
        config: CONFIG.clone(),
        directory: Arc::new(directory),
        data: Arc::clone(&DATA),
        beginning: StartFrom::Initial,
        initial_state: Some(Bytes::from_static(INITIAL)),
        record: Record::default(),
        checkpoint: None,
        completion: None,
        history,
        run: IDENTITY.to_string(),
    }
}

/// What its handlers share.
pub fn shared(prepared: Prepared) -> Arc<Shared> {
    let begin = Instant::now();
    let clock = Clock::from_fn(move || begin.elapsed());
    // Nobody starts workers.
    let (spawns, _) = mpsc::unbounded_channel();
    Arc::new(share(prepared, clock, Timing::default(), spawns))
}

/// Lets everybody do what there is to do, and then time pass.
pub async fn pass(time: Duration) {
    sleep(time + Duration::from_millis(1)).await;
}

/// The same word, of a worker that speaks this version of the protocol where it names none: an input that was kept
/// stays of use when there is another.
pub fn in_this_version(mut message: WorkerMessage) -> WorkerMessage {
    if let Some(Word::Hello(Hello { protocol_version: version @ 0, .. })) = &mut message.message {
        *version = PROTOCOL_VERSION;
    }
    message
}

/// A worker's first words.
pub fn hello(slot: Option<u32>) -> Bytes {
    let hello = Hello {
        protocol_version: PROTOCOL_VERSION,
        slot,
        advertise: "127.0.0.1".to_string(),
        device: "cpu".to_string(),
        process_id: 100,
        ..Hello::default()
    };
    WorkerMessage { message: Some(Word::Hello(hello)) }.encode_to_vec().into()
}

/// What is in a folder.
fn names(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("it is a folder");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    names.sort();
    names
}
