//! Everything that is done before the first worker may join: run directory, data, initial state, checkpoint.
//!
//! `run` calls it where it may block. Every mistake of the user shows here, before anything has started.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result};
use common::computing::Computing;
use common::config::{Config, LrSchedule, Precision, schedule};
use common::hexadecimal;
use common::metrics::EpochMetrics;
use dataset::LoadOptions;
use dataset::samples::Measured;
use proto::StartFrom;
use sha2::{Digest, Sha256};
use tonic::codegen::Bytes;

use super::plan::RunPlan;
use crate::data::Data;
use crate::data::initial_state::{self, Taken};
use crate::log::LogFile;
use crate::run_directory::ledger::{self, Completion, Summary};
use crate::run_directory::{self, ResumePoint, RunDirectory};
use crate::service::board::Record;

/// The newest checkpoint.
const LAST_MODEL: &str = "checkpoints/last.safetensors";

/// A run that is ready to start.
#[derive(Debug)]
pub struct Prepared {
    /// The resolved settings.
    pub config: Config,
    /// Where its results go.
    pub directory: Arc<RunDirectory>,
    /// What it is trained on and tested with.
    pub data: Arc<Data>,
    /// Where its parameters come from where it has no checkpoint.
    pub beginning: StartFrom,
    /// The parameters, where they come from a given file.
    pub initial_state: Option<Bytes>,
    /// What it has done before.
    pub record: Record,
    /// The newest checkpoint in words, for messages.
    pub checkpoint: Option<String>,
    /// What its ledger says of it.
    pub history: Summary,
    /// Its identity: that of the first coordinator's.
    pub run: String,
    /// How it became complete, where there is nothing left to do.
    pub completion: Option<Completion>,
}

/// Prepares a run. The log goes to the run directory from the moment there is one.
///
/// # Errors
/// What cannot be read, written or used, and what to do about it.
pub fn prepare(plan: &RunPlan, log: &LogFile, now: SystemTime) -> Result<Prepared> {
    let mut config = plan.config.clone();
    // A directory that was named is tried first: nothing is downloaded for a run that cannot be stored.
    let named = config.run_dir.clone();
    let named = named.map(|root| open(plan, &root, log)).transpose()?;
    let data = load_data(plan)?;
    fit_to(&mut config, &data)?;
    // A resumed run needs its initial state only where it has no checkpoint.
    let has_checkpoint = plan.resume
        && named.as_ref().is_some_and(|directory| directory.root().join(LAST_MODEL).exists());
    let initial_state = match &config.init_from {
        Some(file) if !has_checkpoint => {
            Some(initial_state::load(file, &config, data.identity.shape())?)
        }
        _ => None,
    };
    let directory = match named {
        Some(directory) => directory,
        None => {
            let root = run_directory::default_root(now, &data.identity.dataset);
            config.run_dir = Some(root.clone());
            open(plan, &root, log)?
        }
    };
    let events = directory.events()?;
    let mut history = ledger::summarise(&events);
    let point = if plan.resume {
        directory.check_data_identity(&data.identity)?;
        let point = directory.newest()?;
        let stored = point.as_ref().map_or(0, |point| point.position.step);
        // Workers that live may be ahead of what is stored.
        let is_alone = history.survivors.is_empty();
        let done = if is_alone { stored } else { stored.max(history.done) };
        check_position(&directory.saved_config()?, &config, &data, done)?;
        if is_alone {
            directory.cut_back(point.as_ref())?;
        }
        point
    } else {
        directory.save_data_identity(&data.identity)?;
        None
    };
    if point.is_none() && history.survivors.is_empty() {
        // Nothing is left of what was computed.
        history.computing = None;
    }
    if let (None, Some(proof)) = (&history.computing, point.as_ref().and_then(|point| point.proof))
    {
        history.computing = Some(Computing { proof: Some(proof), ..Computing::default() });
    }
    directory.save_config(&config.to_toml())?;
    announce(&config, &data, directory.root());
    let initial_state = initial_state.map(|state| {
        announce_initial(&state.taken);
        state.content
    });
    let completion = ledger::completion(&events)
        .filter(|_| point.as_ref().is_some_and(|point| is_done(&config, &data, &directory, point)));
    match &point {
        Some(_) if completion.is_some() => {
            tracing::info!("the run is complete: there is nothing left to do")
        }
        _ if !history.survivors.is_empty() => announce_survivors(&history),
        Some(point) => announce_resume(point),
        None if plan.resume => tracing::info!("there is no checkpoint yet: beginning anew"),
        None => {}
    }
    let run = history.run.clone().unwrap_or_else(|| identity_of_new_run(now));
    let last_epoch = directory.last_epoch()?;
    Ok(Prepared {
        beginning: match &initial_state {
            Some(_) => StartFrom::Initial,
            None => StartFrom::Seed,
        },
        checkpoint: point.as_ref().map(|point| in_words(point, directory.root())),
        record: record(point.as_ref(), last_epoch),
        config,
        directory: Arc::new(directory),
        data: Arc::new(data),
        initial_state,
        history,
        run,
        completion,
    })
}

/// A checkpoint, for messages.
fn in_words(point: &ResumePoint, root: &Path) -> String {
    let (epoch, step) = (point.position.epoch, point.position.step);
    format!("the last checkpoint is {}/{LAST_MODEL} (epoch {epoch}, step {step})", root.display())
}

/// What the run has done before.
fn record(point: Option<&ResumePoint>, last_epoch: Option<EpochMetrics>) -> Record {
    let position = |of: fn(&ResumePoint) -> u64| point.map_or(0, of);
    let step = position(|point| point.position.step);
    Record {
        last_epoch,
        checkpoint_step: step,
        first_step: step,
        first_epoch: position(|point| point.position.epoch),
        last_checkpoint: point.map(|_| LAST_MODEL.to_string()),
        ..Record::default()
    }
}

/// Whether nothing is missing: neither a step nor a picture, which may be wanted in other formats than before.
fn is_done(config: &Config, data: &Data, directory: &RunDirectory, point: &ResumePoint) -> bool {
    let train_samples = data.identity.train_samples as usize;
    let formats: Vec<String> = config.picture_format.iter().map(ToString::to_string).collect();
    let epochs = point.position.epoch;
    point.position.step == schedule::total_steps(config, train_samples)
        && directory.first_without_picture(epochs, config.picture_every, &formats) == epochs
}

/// Refuses settings that contradict how far the run has got: `done` steps with the `saved` settings.
fn check_position(saved: &Config, config: &Config, data: &Data, done: u64) -> Result<()> {
    let train_samples = data.identity.train_samples as usize;
    config.validate_position(saved, train_samples, done)?;
    let [before, now] =
        [saved, config].map(|config| schedule::steps_spanned(config, train_samples));
    if config.lr_schedule == LrSchedule::Cosine && done > 0 && before != now {
        tracing::warn!(before, now, "the cosine spans another number of steps from here on");
    }
    Ok(())
}

/// Different for every run, wherever it is made.
fn identity_of_new_run(now: SystemTime) -> String {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let source = format!("{} {}", since.as_nanos(), std::process::id());
    hexadecimal(&Sha256::digest(source))[..16].to_string()
}

fn open(plan: &RunPlan, root: &Path, log: &LogFile) -> Result<RunDirectory> {
    let keep = plan.config.keep;
    let directory = if plan.resume {
        RunDirectory::open(root, keep)
    } else {
        RunDirectory::create(root, keep)
    }?;
    let path = root.join(run_directory::LOG);
    log.attach(&path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(directory)
}

/// Fills in the settings that the data decide, and refuses those that do not fit them.
fn fit_to(config: &mut Config, data: &Data) -> Result<()> {
    let shape = data.identity.shape();
    config.validate_data(shape)?;
    let measured = match &data.measured {
        _ if !config.normalises_by_data(shape) => None,
        Some(measured) => Some(measured.clone()),
        None => Some(dataset::measure(&data.train, shape).context("cannot read the samples")?),
    };
    let numbers = measured.map(|Measured { mean, deviation }| (mean, deviation));
    config.resolve_normalisation(numbers);
    Ok(())
}

fn load_data(plan: &RunPlan) -> Result<Data> {
    let config = &plan.config;
    let count =
        |samples: Option<u64>| samples.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
    let options = LoadOptions {
        data_dir: config.data_dir.clone(),
        mnist_dir: plan.mnist_dir.clone(),
        train_samples: count(config.train_samples),
        test_samples: count(config.test_samples),
        image_size: config.image_size,
        image_mode: config.image_mode,
        resize: config.resize,
        test_fraction: config.test_fraction,
        skip_broken: config.skip_broken,
        image_cache: config.image_cache.clone(),
        ..LoadOptions::default()
    };
    let dataset = dataset::load(&plan.dataset, &options)?;
    Data::of(dataset).context("cannot read the samples")
}

/// The run's identity: what its result depends on.
fn announce(config: &Config, data: &Data, root: &Path) {
    let identity = &data.identity;
    tracing::info!(
        dataset = identity.dataset,
        train_samples = identity.train_samples,
        test_samples = identity.test_samples,
        sha256 = identity.sha256.get(..12),
        logical_shards = config.shard_count(),
        threads = config.thread_count(),
        precision = %config.precision,
        reduction = %config.reduction,
        seed = config.seed,
        batch_size = config.batch_size,
        directory = %root.display(),
        "this run"
    );
    if data.synthetic {
        tracing::warn!("SYNTHETIC DATA: these digits are drawn by the program, this is not MNIST");
    }
    if config.precision == Precision::F64 {
        tracing::info!("f64 is several times slower than f32");
    }
}

fn announce_initial(taken: &Taken) {
    tracing::info!(
        file = %taken.file.display(),
        prefix = taken.prefix,
        tensors = taken.tensors,
        centers = taken.centers.as_deref().unwrap_or("none, they are drawn as in any run"),
        "beginning with given parameters"
    );
    for note in &taken.notes {
        tracing::info!("of {}: {note}", taken.file.display());
    }
}

fn announce_survivors(history: &Summary) {
    let slots: Vec<String> = history.survivors.iter().map(ToString::to_string).collect();
    tracing::info!(
        generation = %history.generation,
        step = history.done,
        "the coordinator before this one was killed; its workers (slots {}) may go on from memory",
        slots.join(", ")
    );
}

fn announce_resume(point: &ResumePoint) {
    for reason in &point.skipped {
        tracing::warn!("{reason}: going back to {}.safetensors", point.stem);
    }
    let position = &point.position;
    tracing::info!(
        epoch = position.epoch,
        step_in_epoch = position.step_in_epoch,
        step = position.step,
        "resuming"
    );
}
