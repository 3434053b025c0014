//! A run's folder while a coordinator holds it: what is read from it, and added to it.
//!
//! `prepare` begins or opens it; the ledger's books and the service's handlers write. Whatever must not be torn goes
//! through `atomic` or the two logs.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use common::config::Config;
use common::digests::StepDigests;
use common::ids::Generation;
use common::metrics::{EpochMetrics, Record};
use common::status::ServiceError;

use super::artifact_path::{self, ArtifactPath, CHECKPOINTS, PICTURES};
use super::ledger::{Entry, Line};
use super::line_log::{self, LineLog};
use super::lock::{self, Held};
use super::metrics_log::{self, MetricsLog};
use super::model_file::CheckpointMetadata;
use super::place::{CONFIG, DIGESTS, EVENTS, METRICS, cannot, find_run, saved_config};
use super::resume::{self, ResumePoint};
use super::{atomic, events_log};
use crate::data::{DATA_IDENTITY, DataIdentity};

/// A run's folder, held by this process alone.
#[derive(Debug)]
pub struct RunDirectory {
    pub(super) root: PathBuf,
    /// Epoch checkpoints to keep, 0 for all.
    pub(super) keep: u64,
    pub(super) metrics: Mutex<MetricsLog>,
    pub(super) digests: Mutex<MetricsLog>,
    pub(super) events: Mutex<LineLog>,
    /// Held while files are put in place: what stays is decided for one upload at a time. The generation whose uploads
    /// are; what an earlier one has begun to send must not replace what came after it.
    pub(super) placing: Mutex<Generation>,
    _held: Held,
}

impl RunDirectory {
    /// Begins a new run in `root`, which may exist but must not hold a run.
    ///
    /// # Errors
    /// It holds a run, is in use, or cannot be written.
    pub fn create(root: &Path, keep: u64) -> Result<Self> {
        let context = || cannot("create", root);
        fs::create_dir_all(root).with_context(context)?;
        let held = lock::hold(root)?;
        if let Some(found) = find_run(root) {
            bail!(
                "the run directory {} holds a run already ({found}): go on with it by --resume {}, or choose another \
                 --run-dir",
                root.display(),
                root.display()
            );
        }
        Self::open_logs(root, keep, held).with_context(context)
    }

    /// Opens the directory of a run, to go on with it.
    ///
    /// # Errors
    /// It holds no run, is in use, or cannot be written.
    pub fn open(root: &Path, keep: u64) -> Result<Self> {
        ensure!(
            root.join(CONFIG).is_file(),
            "there is no run to resume in {}: {CONFIG} is missing",
            root.display()
        );
        let context = || cannot("use", root);
        let held = lock::hold(root)?;
        Self::open_logs(root, keep, held).with_context(context)
    }

    fn open_logs(root: &Path, keep: u64, held: Held) -> io::Result<Self> {
        // A new run may be in the place of one that was killed before it had begun.
        atomic::clean(root)?;
        for folder in artifact_path::FOLDERS {
            fs::create_dir_all(root.join(folder))?;
            atomic::clean(&root.join(folder))?;
        }
        for log in [METRICS, DIGESTS, EVENTS] {
            line_log::cut_torn_line(&root.join(log))?;
        }
        let metrics = Mutex::new(MetricsLog::open(&root.join(METRICS))?);
        let digests = Mutex::new(MetricsLog::open(&root.join(DIGESTS))?);
        let events = Mutex::new(LineLog::open(&root.join(EVENTS))?);
        let placing = Mutex::default();
        let root = root.to_path_buf();
        Ok(Self { root, keep, metrics, digests, events, placing, _held: held })
    }

    /// What has happened so far.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn events(&self) -> Result<Vec<Line>> {
        events_log::read(&self.root.join(EVENTS))
    }

    /// Adds a line to `events.jsonl`.
    ///
    /// # Errors
    /// [`ServiceError::Storage`].
    pub fn record(&self, entry: Entry) -> Result<(), ServiceError> {
        let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let written = lock_on(&self.events).append(&Line { time, entry });
        written.map_err(|error| self.storage_error(EVENTS, &error))
    }

    /// Adds a line to `events.jsonl`; it and all before it are durable on return.
    ///
    /// # Errors
    /// [`ServiceError::Storage`].
    pub fn record_durably(&self, entry: Entry) -> Result<(), ServiceError> {
        self.record(entry)?;
        lock_on(&self.events).sync().map_err(|error| self.storage_error(EVENTS, &error))
    }

    /// From now on files of `generation` alone are taken.
    pub fn open_generation(&self, generation: Generation) {
        *lock_on(&self.placing) = generation;
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Saves the resolved settings.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save_config(&self, toml: &str) -> Result<()> {
        atomic::write(&self.root.join(CONFIG), toml.as_bytes())
            .with_context(|| cannot("write", &self.root))
    }

    /// The settings that the run has gone on with so far.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn saved_config(&self) -> Result<Config> {
        saved_config(&self.root)
    }

    /// Saves which samples a new run is made of.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save_data_identity(&self, data: &DataIdentity) -> Result<()> {
        let text = serde_json::to_string_pretty(data)?;
        atomic::write(&self.root.join(DATA_IDENTITY), text.as_bytes())
            .with_context(|| cannot("write", &self.root))
    }

    /// Checks that a resumed run is made of the samples it began with.
    ///
    /// # Errors
    /// They differ from the saved ones, or those cannot be read.
    pub fn check_data_identity(&self, data: &DataIdentity) -> Result<()> {
        let saved = DataIdentity::read(&self.root)?;
        ensure!(
            saved.has_samples_of(data),
            "the samples are not those that the run began with: {saved} then, {data} now; give it the same --dataset"
        );
        Ok(())
    }

    /// Finds the checkpoint to go on from and takes metrics and digests back to it; without any, to the run's beginning.
    ///
    /// # Errors
    /// There are checkpoints, but none is intact; or the folder cannot be changed.
    pub fn rewind(&self) -> Result<Option<ResumePoint>> {
        let _placing = lock_on(&self.placing);
        let point = self.newest()?;
        self.cut_back(point.as_ref())?;
        Ok(point)
    }

    /// Takes `metrics.jsonl` and `digests.jsonl` back to a checkpoint; without any, to the run's beginning.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn cut_back(&self, point: Option<&ResumePoint>) -> Result<()> {
        let beginning = CheckpointMetadata::default();
        let position = point.map_or(&beginning, |point| &point.position);
        let context = || cannot("write", &self.root);
        for (name, log) in [(METRICS, &self.metrics), (DIGESTS, &self.digests)] {
            let path = self.root.join(name);
            let mut log = lock_on(log);
            let unreadable = metrics_log::cut_back(&path, position).with_context(context)?;
            if unreadable > 0 {
                tracing::warn!(lines = unreadable, "dropped unreadable lines of {name}");
            }
            *log = MetricsLog::open(&path).with_context(context)?;
        }
        Ok(())
    }

    /// The checkpoint that [`RunDirectory::rewind`] would take the run back to. Lines of metrics after it stay: workers
    /// may still have the steps that they tell of.
    ///
    /// # Errors
    /// As [`RunDirectory::rewind`].
    pub fn newest(&self) -> Result<Option<ResumePoint>> {
        Ok(resume::find(&self.root.join(CHECKPOINTS))?)
    }

    /// Removes pictures of the features that are not due, one being due every `every` epochs: an end that was none may
    /// have left the picture of what was the last epoch then.
    ///
    /// # Errors
    /// [`ServiceError::Storage`].
    pub fn remove_undue_pictures(&self, every: u64) -> Result<(), ServiceError> {
        let epoch =
            |name: &str| name.strip_prefix("epoch=")?.split('.').next()?.parse::<u64>().ok();
        let remove = || -> io::Result<()> {
            for entry in fs::read_dir(self.root.join(PICTURES))? {
                let entry = entry?;
                let epoch = entry.file_name().to_str().and_then(epoch);
                if epoch.is_some_and(|epoch| !epoch.is_multiple_of(every)) {
                    atomic::remove(&entry.path())?;
                }
            }
            Ok(())
        };
        remove().map_err(|error| self.storage_error(PICTURES, &error))
    }

    /// The first epoch below `epochs` whose picture of the features is due, one every `every`, and not there in each of
    /// `formats`.
    pub fn first_without_picture(&self, epochs: u64, every: u64, formats: &[String]) -> u64 {
        let pictures = self.root.join(PICTURES);
        let is_there = |epoch: &u64| {
            let file = |format: &String| pictures.join(format!("epoch={epoch}.{format}"));
            formats.iter().all(|format| file(format).is_file())
        };
        (0..epochs).step_by(every as usize).find(|epoch| !is_there(epoch)).unwrap_or(epochs)
    }

    /// Adds a line to `metrics.jsonl`; an epoch's is durable on return.
    ///
    /// # Errors
    /// [`ServiceError::Storage`].
    pub fn append_metrics(&self, record: &Record) -> Result<(), ServiceError> {
        let mut metrics = lock_on(&self.metrics);
        let written = metrics.append(record).and_then(|()| match record {
            Record::Epoch(_) => metrics.sync(),
            Record::Step(_) => Ok(()),
        });
        written.map_err(|error| self.storage_error(METRICS, &error))
    }

    /// Adds a line to `digests.jsonl`.
    ///
    /// # Errors
    /// [`ServiceError::Storage`].
    pub fn append_digests(&self, digests: &StepDigests) -> Result<(), ServiceError> {
        let written = lock_on(&self.digests).append_digests(digests);
        written.map_err(|error| self.storage_error(DIGESTS, &error))
    }

    /// What `metrics.jsonl` says of the newest epoch, if it has one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn last_epoch(&self) -> Result<Option<EpochMetrics>> {
        metrics_log::last_epoch(&self.root.join(METRICS))
            .with_context(|| cannot("read", &self.root))
    }

    /// Opens an artifact.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub fn open_artifact(&self, path: &ArtifactPath) -> Result<File, ServiceError> {
        File::open(path.below(&self.root)).map_err(|error| {
            ServiceError::NotFound(format!(
                "cannot read {path} in {}: {error}",
                self.root.display()
            ))
        })
    }

    pub(super) fn storage_error(&self, what: &str, error: &io::Error) -> ServiceError {
        ServiceError::Storage(format!(
            "cannot store {what} in {}: {error}; what was there before is whole",
            self.root.display()
        ))
    }
}

pub(super) fn lock_on<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
