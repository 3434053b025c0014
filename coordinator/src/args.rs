//! The command line: raw arguments become one validated value before anything starts.
//!
//! Nothing here but reading `--config` and a resumed run's `config.toml` touches the machine; environment and number
//! of cores are passed in (clap reads the `CONCENTRIC_…` variables).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use common::config::layers::{self, FileLayer};
use common::config::{Config, ConfigError};
use common::dataset::DatasetError;

use crate::door::DoorSettings;
use crate::door::certs::CertsPlan;
use crate::run::RunPlan;
use crate::run_directory::{CONFIG, resume};
use crate::running_coordinator::{DrainPlan, ScalePlan, StatusPlan};
use crate::verify::{VerifyArgs, VerifyPlan};

/// Where runs are kept that were not given a directory.
const RUNS: &str = "runs";

/// What the user asked for.
#[derive(Debug)]
pub enum Command {
    /// Train.
    Run(Box<RunPlan>),
    /// Show how a running coordinator is doing.
    Status(StatusPlan),
    /// Change how many workers a running job has.
    Scale(ScalePlan),
    /// Let a worker of a running job go.
    Drain(DrainPlan),
    /// Prove from a run's ledger that every sample was used once.
    Audit(AuditPlan),
    /// Prove that the result does not depend on the workers.
    Verify(Box<VerifyPlan>),
    /// Make certificates and a join token.
    Certs(CertsPlan),
}

/// A validated wish for proof.
#[derive(Clone, Debug, clap::Args)]
pub struct AuditPlan {
    /// Folder of the run
    #[arg(value_name = "RUN_DIR")]
    pub run_dir: PathBuf,
    /// Print everything as JSON
    #[arg(long)]
    pub json: bool,
}

/// What the machine and a launcher say.
#[derive(Clone, Debug)]
pub struct Environment {
    /// `WORLD_SIZE`, set by launchers: the number of workers where nothing else says it.
    pub world_size: Option<String>,
    /// `CONCENTRIC_MNIST_DIR`: a folder that holds MNIST already.
    pub mnist_dir: Option<PathBuf>,
    /// Cores of this machine.
    pub cores: usize,
}

/// Trains a convolutional classifier with center loss on any number of workers: waits for them, feeds them, stores
/// the results.
#[derive(Debug, Parser)]
#[command(name = "coordinator", version, args_conflicts_with_subcommands = true)]
struct Raw {
    #[command(subcommand)]
    command: Option<RawCommand>,
    /// Settings from a TOML file; flags and CONCENTRIC_… variables go over it
    #[arg(long = "config", env = "CONCENTRIC_CONFIG", value_name = "FILE", help_heading = "Run")]
    config_file: Option<PathBuf>,
    /// Go on with the run in RUN_DIR (without it: in --run-dir, or the newest below runs/)
    #[arg(long, value_name = "RUN_DIR", num_args = 0..=1, help_heading = "Run")]
    resume: Option<Option<PathBuf>>,
    /// Go on with the run in --run-dir if there is one, else begin it there
    #[arg(long, env = "CONCENTRIC_RESUME_IF_ANY", num_args = 0..=1, default_missing_value = "true",
          default_value_t = false, value_name = "BOOL", action = clap::ArgAction::Set, help_heading = "Run")]
    resume_if_any: bool,
    #[command(flatten)]
    _settings: Config,
    #[command(flatten)]
    _door: DoorSettings,
}

#[derive(Debug, Subcommand)]
enum RawCommand {
    /// Show how a running coordinator is doing
    Status(StatusPlan),
    /// Change how many workers a running job has
    Scale(ScalePlan),
    /// Let a worker of a running job finish its step and leave
    Drain(DrainPlan),
    /// Prove from a run's ledger that every epoch used each sample once
    Audit(AuditPlan),
    /// Prove that the result does not depend on the workers
    ///
    /// Trains with one worker and with several on this machine, in float64 and in float32, and compares what they
    /// leave. Settings of a run come after `--`: coordinator verify --workers 4 --kills 2 -- --dataset mnist
    /// --batch-size 50. Both numbers of workers share --logical-shards [default: max(4, workers)] and --threads
    /// [default: 1]; nothing is tested unless --test-samples is given. The exit code is 0 only if the float64 runs
    /// agree within 1e-12 and the float32 runs byte by byte (with --reduction native: within 1e-3).
    Verify(VerifyArgs),
    /// Make a private authority, certificates and a join token for a cluster
    Certs(CertsPlan),
}

/// Validates the command line.
///
/// # Errors
/// What is wrong and what to give instead; [`ConfigError::CommandLine`] within it shows the usage.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> Result<Command> {
    let matches = Raw::command().try_get_matches_from(args).map_err(ConfigError::CommandLine)?;
    let raw = Raw::from_arg_matches(&matches).map_err(ConfigError::CommandLine)?;
    match raw.command {
        Some(RawCommand::Status(plan)) => return Ok(Command::Status(plan)),
        Some(RawCommand::Scale(plan)) => return Ok(Command::Scale(plan)),
        Some(RawCommand::Drain(plan)) => return Ok(Command::Drain(plan)),
        Some(RawCommand::Audit(plan)) => return Ok(Command::Audit(plan)),
        Some(RawCommand::Verify(wish)) => {
            return Ok(Command::Verify(Box::new(wish.validate(environment)?)));
        }
        Some(RawCommand::Certs(plan)) => return Ok(Command::Certs(plan)),
        None => {}
    }
    let mut file = raw.config_file.as_deref().map(FileLayer::read).transpose()?;
    let of_door = file.as_mut().map(FileLayer::split_off::<DoorSettings>);
    let door = layers::merge(&matches, of_door.as_ref())?;
    let given = match (raw.resume, raw.resume_if_any) {
        (None, true) => run_in_place(&matches, file.as_ref())?.map(Some),
        (given, _) => given,
    };
    let resume = given.is_some();
    let config = match given {
        None => merge(&matches, file, None, environment)?,
        Some(directory) => resumed(&matches, file, directory, environment)?,
    };
    let dataset =
        config.dataset.parse().map_err(|error: DatasetError| anyhow!("--dataset: {error}"))?;
    let mnist_dir = environment.mnist_dir.clone();
    Ok(Command::Run(Box::new(RunPlan { config, door, dataset, mnist_dir, resume })))
}

/// The run directory that is given, where it holds a run.
fn run_in_place(matches: &ArgMatches, file: Option<&FileLayer>) -> Result<Option<PathBuf>> {
    let settings: Config = layers::merge(matches, file)?;
    let directory = settings.run_dir.context(
        "--resume-if-any needs --run-dir DIR: the folder that the run is in, or will be in",
    )?;
    Ok(directory.join(CONFIG).is_file().then_some(directory))
}

/// The settings of a resumed run: as saved, but for what is given now and may change.
fn resumed(
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

fn merge(
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
    let layer = match (file, saved) {
        (Some(file), Some(saved)) => Some(file.over(saved)),
        (file, saved) => file.or(saved),
    };
    let mut config: Config = layers::merge(matches, layer.as_ref())?;
    if let (false, Some(world_size)) = (workers_given, &environment.world_size) {
        config.workers = world_size.parse().with_context(|| {
            format!("the environment's WORLD_SIZE is `{world_size}`, not a number of workers: correct it or give --workers")
        })?;
    }
    config.validate()?;
    config.resolve(environment.cores);
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_with(args: &[&str], world_size: Option<&str>) -> Result<Command> {
        let environment =
            Environment { world_size: world_size.map(String::from), mnist_dir: None, cores: 2 };
        let args = std::iter::once("coordinator").chain(args.iter().copied());
        parse(args.map(OsString::from), &environment)
    }

    fn plan(args: &[&str], world_size: Option<&str>) -> RunPlan {
        match parse_with(args, world_size).unwrap() {
            Command::Run(plan) => *plan,
            other => panic!("{other:?} is not a run"),
        }
    }

    fn error(args: &[&str]) -> String {
        parse_with(args, None).unwrap_err().to_string()
    }

    #[test]
    fn world_size_counts_where_nothing_else_does() {
        assert_eq!(plan(&[], None).config.workers, 1);
        assert_eq!(plan(&[], Some("3")).config.workers, 3);
        assert_eq!(plan(&["--workers", "2"], Some("3")).config.workers, 2);
        assert!(parse_with(&[], Some("many")).unwrap_err().to_string().contains("WORLD_SIZE"));
    }

    #[test]
    fn settings_are_resolved() {
        let config = plan(&["--workers", "6"], None).config;
        assert_eq!((config.shard_count(), config.thread_count()), (6, 1));
    }

    #[test]
    fn status_takes_its_own_options() {
        let Command::Status(plan) = parse_with(&["status", "--json"], None).unwrap() else {
            panic!()
        };
        assert!(plan.json);
        assert_eq!(plan.coordinator.address(), "http://127.0.0.1:29400");
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(error(&["--workers", "0"]).contains("--workers: must be at least 1"));
        assert!(error(&["--epochs", "0"]).contains("--epochs: must be at least 1"));
        assert!(error(&["--batch-size", "0"]).contains("--batch-size: must be at least 1"));
        assert!(error(&["--logical-shards", "0"]).contains("--logical-shards"));
        assert!(error(&["--resume", "/nowhere"]).contains("no run to resume in /nowhere"));
        assert!(error(&["--dataset", "minst"]).contains("did you mean `mnist`"));
        assert!(error(&["--config", "/nowhere.toml"]).contains("/nowhere.toml"));
    }

    #[test]
    fn a_resumed_run_keeps_its_settings() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        let saved = plan(&["--batch-size", "20", "--workers", "3"], None).config;
        std::fs::write(folder.path().join(CONFIG), saved.to_toml()).unwrap();

        let resumed = plan(&["--resume", root, "--workers", "2"], None);
        assert!(resumed.resume);
        assert_eq!((resumed.config.batch_size, resumed.config.workers), (20, 2));
        assert_eq!(resumed.config.run_dir.as_deref(), Some(folder.path()));
        assert_eq!(plan(&["--resume", "--run-dir", root], None).config.batch_size, 20);
        assert_eq!(plan(&["--resume", root], Some("5")).config.workers, 5);

        assert!(
            error(&["--resume", root, "--batch-size", "30"])
                .contains("--batch-size is 30 here but 20")
        );
        let file = folder.path().join("new.toml");
        std::fs::write(&file, "seed = 9").unwrap();
        let file = file.to_str().unwrap();
        assert!(error(&["--resume", root, "--config", file]).contains("--seed is 9 here but 0"));
    }

    #[test]
    fn a_run_is_resumed_if_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        let flags = ["--resume-if-any", "--run-dir", root, "--batch-size", "20"];
        let begun = plan(&flags, None);
        assert!(!begun.resume);
        std::fs::write(folder.path().join(CONFIG), begun.config.to_toml()).unwrap();
        let resumed = plan(&flags[..3], None);
        assert!(resumed.resume);
        assert_eq!((resumed.config.batch_size, resumed.config.run_dir), (20, begun.config.run_dir));
        assert!(!plan(&["--resume-if-any", "false", "--run-dir", root], None).resume);
        assert!(error(&["--resume-if-any"]).contains("needs --run-dir"));
        assert!(error(&["--resume-if-any", "--resume", "/nowhere"]).contains("/nowhere"));
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "batchsize = 3").unwrap();
        let message = error(&["--config", file.path().to_str().unwrap()]);
        assert!(message.contains("batchsize") && message.contains("`batch-size`"), "{message}");
    }
}
