//! The settings of a run from all their layers, those of a resumed run among them.
//!
//! `args` calls it. Reads the saved settings of a resumed run, and changes nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{ArgMatches, FromArgMatches};
use common::config::layers::{self, FileLayer};
use common::config::{Config, ConfigError};
use common::launcher::Launcher;

use crate::run_directory::{CONFIG, resume};

/// Where runs are kept that were not given a directory.
const RUNS: &str = "runs";

/// What the machine and a launcher say.
#[derive(Clone, Debug)]
pub struct Environment {
    /// What a launcher says: its number of processes is that of workers where nothing else says it.
    pub launcher: Launcher,
    /// `CONCENTRIC_MNIST_DIR`: a folder that holds MNIST already.
    pub mnist_dir: Option<PathBuf>,
    /// Cores of this machine.
    pub cores: usize,
}

/// The run directory that is given, where it holds a run.
///
/// # Errors
/// None is given.
pub fn run_in_place(matches: &ArgMatches, file: Option<&FileLayer>) -> Result<Option<PathBuf>> {
    let settings: Config = layers::merge(matches, file)?;
    let directory = settings.run_dir.context(
        "--resume-if-any needs --run-dir DIR: the folder that the run is in, or will be in",
    )?;
    Ok(directory.join(CONFIG).is_file().then_some(directory))
}

/// The settings of a resumed run: as saved, but for what is given now and may change.
///
/// # Errors
/// There is no such run, or what is given now is wrong or may not change.
pub fn resumed(
    matches: &ArgMatches,
    file: Option<FileLayer>,
    directory: Option<PathBuf>,
    environment: &Environment,
) -> Result<Config> {
    let directory = match directory.or(Config::from_arg_matches(matches)?.run_dir) {
        Some(directory) => directory,
        None => resume::newest_run(Path::new(RUNS))?,
    };
    let path = directory.join(CONFIG);
    ensure!(
        path.is_file(),
        "there is no run to resume in {}: {CONFIG} is missing",
        directory.display()
    );
    let saved = FileLayer::read(&path)?;
    let mut config = merge(matches, file, Some(saved), environment)?;
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let saved = Config::from_toml(&text)
        .map_err(|message| ConfigError::Syntax { path: path.display().to_string(), message })?;
    config.validate_resume(&saved)?;
    config.run_dir = Some(directory);
    Ok(config)
}

/// The settings of a run in layers: as given, then as in a file, then as saved.
///
/// # Errors
/// What is wrong with one of them.
pub fn merge(
    matches: &ArgMatches,
    file: Option<FileLayer>,
    saved: Option<FileLayer>,
    environment: &Environment,
) -> Result<Config> {
    let given = layers::given::<Config>(matches);
    let workers_given = given.iter().any(|key| key == "workers")
        || file.as_ref().is_some_and(|file| file.sets("workers"));
    // The file alone first: a message about it must not name the saved one.
    layers::merge::<Config>(matches, file.as_ref())?;
    let layer = layers::stacked(file, saved);
    let mut config: Config = layers::merge(matches, layer.as_ref())?;
    if let (false, Some(given)) = (workers_given, &environment.launcher.world_size) {
        config.workers = given.number("set it to the number of workers, or give --workers")?;
        if environment.launcher.is_master_of_pods && config.workers > 1 {
            // This process is one of those that are counted. The workers' numbers begin with 1.
            config.max_workers.get_or_insert(config.workers);
            config.workers -= 1;
        }
    }
    config.validate()?;
    config.resolve(environment.cores);
    Ok(config)
}
