//! What `coordinator verify` is asked for, and the settings of its runs.
//!
//! `args` has the settings checked as those of any run are; nothing here touches the machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use common::config::{Config, Precision};

/// Settings that belong to the verification itself.
pub const RESERVED: [&str; 11] = [
    "workers",
    "precision",
    "run-dir",
    "spawn",
    "resume",
    "listen",
    "max-steps",
    "min-workers",
    "max-workers",
    "max-generations",
    "log-every",
];
/// Where a run listens: on any free port.
const LISTEN: &str = "127.0.0.1:0";
/// Losses that a run survives: more than there can be.
const MAX_GENERATIONS: u64 = 1_000_000;
/// Within a run so many checkpoints are stored at least: losing all workers at once must not always mean its beginning.
const CHECKPOINTS: u64 = 4;

/// The command line, unchecked.
#[derive(Clone, Debug, clap::Args)]
pub struct VerifyArgs {
    /// Workers of the runs that are compared with the run of one
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub workers: u32,
    /// Workers to kill (SIGKILL) in each run of several, at random moments; others take their places
    #[arg(long, default_value_t = 0, value_name = "K", value_parser = clap::value_parser!(u32).range(..=1000))]
    pub kills: u32,
    /// Draws those moments and workers; printed, so that they can be drawn again [default: another each time]
    #[arg(long, value_name = "S")]
    pub seed_of_kills: Option<u64>,
    /// Steps of each run
    #[arg(long, default_value_t = 20, value_name = "M", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: u64,
    /// Keep the runs in this folder [default: a temporary one, kept where something is wrong]
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Settings of the runs, after `--`, as in `-- --dataset mnist --batch-size 50`; `-- --help` lists them
    #[arg(last = true, value_name = "SETTINGS")]
    pub settings: Vec<OsString>,
}

/// A validated wish for proof that the result does not depend on the workers.
#[derive(Clone, Debug)]
pub struct VerifyPlan {
    /// Settings that all runs share.
    config: Config,
    /// Workers of the runs that have several.
    pub workers: u32,
    /// Workers to kill in each of those.
    pub kills: u32,
    /// What draws the kills, where it is given.
    pub seed_of_kills: Option<u64>,
    /// Where the runs are kept.
    pub keep: Option<PathBuf>,
}

impl VerifyArgs {
    /// The command line of a run with the given settings.
    ///
    /// # Errors
    /// One of them belongs to the verification.
    pub fn command_line(&self) -> Result<Vec<OsString>> {
        refuse_reserved(&self.settings)?;
        let workers = self.workers.to_string();
        let head = ["coordinator", "--workers", &workers].map(OsString::from);
        Ok(head.into_iter().chain(self.settings.iter().cloned()).collect())
    }

    /// What is asked for, where a run of that command line would have the settings `config`.
    pub fn plan(self, mut config: Config) -> VerifyPlan {
        config.spawn = true;
        config.listen = LISTEN.to_string();
        config.min_workers = Some(1);
        config.max_workers = None;
        config.max_generations = MAX_GENERATIONS;
        config.max_steps = Some(self.steps);
        config.log_every = 1;
        config.checkpoint_every = config.checkpoint_every.min((self.steps / CHECKPOINTS).max(1));
        config.test_samples.get_or_insert(0);
        let Self { workers, kills, seed_of_kills, keep, .. } = self;
        VerifyPlan { config, workers, kills, seed_of_kills, keep }
    }
}

impl VerifyPlan {
    /// The settings of one run.
    pub fn config_of(&self, precision: Precision, workers: u32, run_dir: &Path) -> Config {
        let run_dir = Some(run_dir.to_path_buf());
        Config { precision, workers, run_dir, ..self.config.clone() }
    }

    /// The settings that all runs share.
    pub fn shared(&self) -> &Config {
        &self.config
    }
}

fn refuse_reserved(settings: &[OsString]) -> Result<()> {
    for setting in settings {
        let setting = setting.to_string_lossy();
        let name = setting.strip_prefix("--").map(|flag| flag.split('=').next().unwrap_or(flag));
        if let Some(name) = name.filter(|name| RESERVED.contains(name)) {
            let instead = match name {
                "workers" => ": give --workers before the `--`",
                "max-steps" => ": give --steps before the `--`",
                "run-dir" => ": give --keep before the `--`",
                _ => "",
            };
            bail!("--{name} cannot be among the settings, verify sets it itself{instead}");
        }
    }
    Ok(())
}
