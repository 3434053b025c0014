//! The command line: raw arguments become one validated value before anything starts.
//!
//! `main` calls [`parse`]. Nothing here but reading `--config` and a resumed run's `config.toml` touches the machine;
//! environment and number of cores are passed in (clap reads the `CONCENTRIC_…` variables).

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use common::command_line;
use common::config::layers::{self, FileLayer};
use common::config::{Config, ConfigError, Recipe};
use dataset::DatasetError;

use super::audit::AuditPlan;
use super::fingerprint::FingerprintPlan;
use super::replay::ReplayPlan;
use super::running_coordinator::{DrainPlan, ScalePlan, StatusPlan};
pub use super::settings::Environment;
use super::settings::{merge, resumed, run_in_place};
use super::verify::{VerifyArgs, VerifyPlan};
use crate::door::DoorSettings;
use crate::door::certs::CertsPlan;
use crate::run::{RunPlan, naming_its_variable};

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
    /// Print what a run has come to, in one line.
    Fingerprint(FingerprintPlan),
    /// Compute a stretch of a run again and compare.
    Replay(ReplayPlan),
    /// Prove that the result does not depend on the workers.
    Verify(Box<VerifyPlan>),
    /// Make certificates and a join token.
    Certs(CertsPlan),
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
    /// Settings that go together, below those of --config: fast trains to a high accuracy in a few epochs (docs/results.md)
    #[arg(long, env = "CONCENTRIC_RECIPE", value_name = "NAME", help_heading = "Run")]
    recipe: Option<Recipe>,
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
    /// Print what a run has come to, in one line that is the same on every machine
    Fingerprint(FingerprintPlan),
    /// Compute a stretch of a run again and say from which step on which tensor differs
    ///
    /// A run records a digest of each tensor every --log-every steps, in digests.jsonl. The stretch is computed on this
    /// machine with the run's settings and data, from one of its checkpoints: coordinator replay runs/R --from epoch=3
    /// --to epoch=5. The run itself is only read. The exit code is 0 only if nothing differs.
    Replay(ReplayPlan),
    /// Prove that the result does not depend on the workers
    ///
    /// Trains with one worker and with several on this machine, in float64 and in float32, and compares what they
    /// leave. Settings of a run come after `--`: coordinator verify --workers 4 --kills 2 -- --dataset mnist
    /// --batch-size 50. Both numbers of workers share --logical-shards [default: 8] and --threads
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
    let matches = command_line::parse(Raw::command(), args).map_err(ConfigError::CommandLine)?;
    let raw = Raw::from_arg_matches(&matches).map_err(ConfigError::CommandLine)?;
    match raw.command {
        Some(RawCommand::Status(plan)) => return Ok(Command::Status(plan)),
        Some(RawCommand::Scale(plan)) => return Ok(Command::Scale(plan)),
        Some(RawCommand::Drain(plan)) => return Ok(Command::Drain(plan)),
        Some(RawCommand::Audit(plan)) => return Ok(Command::Audit(plan)),
        Some(RawCommand::Fingerprint(plan)) => return Ok(Command::Fingerprint(plan)),
        Some(RawCommand::Replay(plan)) => return Ok(Command::Replay(plan)),
        Some(RawCommand::Verify(wish)) => {
            return Ok(Command::Verify(Box::new(verification(wish, environment)?)));
        }
        Some(RawCommand::Certs(plan)) => return Ok(Command::Certs(plan)),
        None => {}
    }
    let mut file = raw.config_file.as_deref().map(FileLayer::read).transpose()?;
    let of_door = file.as_mut().map(FileLayer::split_off::<DoorSettings>);
    let door = layers::merge(&matches, of_door.as_ref())?;
    let file = layers::stacked(file, raw.recipe.map(Recipe::layer));
    let given = match (raw.resume, raw.resume_if_any) {
        (None, true) => run_in_place(&matches, file.as_ref())?.map(Some),
        (given, _) => given,
    };
    let resume = given.is_some();
    let config = match given {
        None => merge(&matches, file, None, environment),
        Some(directory) => resumed(&matches, file, directory, environment),
    };
    let variables = command_line::variables_behind(&Raw::command(), &matches);
    let config = config.map_err(|error| naming_its_variable(&variables, error))?;
    let dataset = config.dataset.parse().map_err(|error: DatasetError| {
        let given_by = variables.get("dataset").map(|variable| format!("the variable {variable}"));
        anyhow!("{}: {error}", given_by.unwrap_or("--dataset".to_string()))
    })?;
    let mnist_dir = environment.mnist_dir.clone();
    let workers_come = raw.resume_if_any && !config.spawn;
    Ok(Command::Run(Box::new(RunPlan {
        config,
        door,
        dataset,
        mnist_dir,
        resume,
        workers_come,
        variables,
    })))
}

/// The settings of a verification's runs are checked as those of any run are.
fn verification(wish: VerifyArgs, environment: &Environment) -> Result<VerifyPlan> {
    // What V and T are by default must not depend on how many workers or cores there are.
    let environment = Environment { cores: 1, ..environment.clone() };
    let Command::Run(run) = parse(wish.command_line()?, &environment)? else {
        bail!("after `--` come the settings of a run, not another command");
    };
    Ok(wish.plan(run.config))
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
