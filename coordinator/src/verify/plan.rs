//! What `coordinator verify` is asked for, and the settings of its runs.
//!
//! `args` validates; nothing here touches the machine, but for a configuration file among the settings.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use common::config::{Config, Precision};

use crate::args::{self, Command, Environment};

/// Settings that belong to the verification itself.
const RESERVED: [&str; 11] = [
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
    /// Checks the settings as those of a run are checked.
    ///
    /// # Errors
    /// What is wrong with them, or which one belongs to the verification.
    pub fn validate(self, environment: &Environment) -> Result<VerifyPlan> {
        refuse_reserved(&self.settings)?;
        // What V and T are by default must not depend on how many workers or cores there are.
        let environment = Environment { cores: 1, ..environment.clone() };
        let workers = self.workers.to_string();
        let head = ["coordinator", "--workers", &workers].map(OsString::from);
        let Command::Run(run) = args::parse(head.into_iter().chain(self.settings), &environment)?
        else {
            bail!("after `--` come the settings of a run, not another command");
        };
        let mut config = run.config;
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
        Ok(VerifyPlan { config, workers, kills, seed_of_kills, keep })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<VerifyPlan> {
        let environment = Environment { world_size: None, mnist_dir: None, cores: 64 };
        let args = ["coordinator", "verify"].iter().chain(args).map(OsString::from);
        match args::parse(args, &environment)? {
            Command::Verify(plan) => Ok(*plan),
            other => panic!("{other:?} is no verification"),
        }
    }

    #[test]
    fn what_verify_sets_is_refused_among_the_settings() {
        for name in RESERVED {
            for setting in [format!("--{name}"), format!("--{name}=1")] {
                let error = parse(&["--", "--seed", "1", &setting]).unwrap_err().to_string();
                assert!(error.contains(&format!("--{name} cannot be")), "{setting}: {error}");
            }
        }
    }

    #[test]
    fn a_wrong_setting_shows_at_once() {
        let error = parse(&["--", "--batch-size", "0"]).unwrap_err().to_string();
        assert!(error.contains("--batch-size: must be at least 1"), "{error}");
        assert!(parse(&["--", "--bath-size", "1"]).unwrap_err().to_string().contains("bath-size"));
        assert!(parse(&["--", "status"]).is_err());
        assert!(parse(&["--workers", "1"]).is_err());
    }

    #[test]
    fn all_runs_share_shards_and_threads() {
        let check = |args: &[&str], shards, threads| {
            let plan = parse(args).unwrap();
            for workers in [1, plan.workers] {
                let config = plan.config_of(Precision::F64, workers, Path::new("run"));
                config.validate().unwrap();
                assert_eq!((config.shard_count(), config.thread_count()), (shards, threads));
            }
        };
        check(&[], 4, 1);
        check(&["--workers", "6"], 6, 1);
        check(&["--workers", "6", "--", "--logical-shards", "3", "--threads", "2"], 3, 2);
    }

    #[test]
    fn given_settings_stay() {
        let plan = parse(&["--steps", "8", "--", "--test-samples", "9", "--seed", "5"]).unwrap();
        let config = plan.shared();
        assert_eq!((config.test_samples, config.seed), (Some(9), 5));
        assert_eq!((config.max_steps, config.checkpoint_every), (Some(8), 2));
        assert_eq!(parse(&[]).unwrap().shared().test_samples, Some(0));
    }
}
