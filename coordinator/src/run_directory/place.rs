//! Where a run's folder is, and what lies in it.
//!
//! Everybody who looks for a file of a run takes its name from here.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow, ensure};
use common::config::Config;

use super::artifact_path::CHECKPOINTS;

/// The resolved settings.
pub const CONFIG: &str = "config.toml";
/// The metrics.
pub const METRICS: &str = "metrics.jsonl";
/// What the tensors have come to, every now and then.
pub const DIGESTS: &str = "digests.jsonl";
/// What happened: generations, losses, steps.
pub const EVENTS: &str = "events.jsonl";
/// The log.
pub const LOG: &str = "coordinator.log";
/// Folder of the logs of workers that the coordinator started.
pub const WORKER_LOGS: &str = "logs";

/// The settings that a run was given, as they are saved in its folder.
///
/// # Errors
/// It holds no run, or they cannot be read.
pub fn saved_config(root: &Path) -> Result<Config> {
    let path = root.join(CONFIG);
    ensure!(path.is_file(), "there is no run in {}: {CONFIG} is missing", root.display());
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Config::from_toml(&text).map_err(|message| anyhow!("{}: {message}", path.display()))
}

/// Name of a new run's folder below `runs/`: the time, in UTC, and the data set.
pub fn default_root(now: SystemTime, dataset: &str) -> PathBuf {
    let time = humantime::format_rfc3339_seconds(now).to_string();
    let digits: String = time.chars().filter(char::is_ascii_digit).collect();
    let (date, clock) = digits.split_at(8);
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }
    };
    let dataset: String = dataset.chars().map(plain).collect();
    let base = Path::new("runs").join(format!("{date}-{clock}-{dataset}"));
    let numbered =
        (2..).map(|number| base.with_file_name(format!("{date}-{clock}-{dataset}-{number}")));
    let mut candidates = std::iter::once(base.clone()).chain(numbered);
    candidates.find(|path| !path.exists()).unwrap_or(base)
}

/// What shows that a run was made in `root`. Settings alone do not: it may have ended before anything was stored.
pub(super) fn find_run(root: &Path) -> Option<String> {
    let metrics = root.join(METRICS);
    if metrics.metadata().is_ok_and(|metadata| metadata.len() > 0) {
        return Some(METRICS.to_string());
    }
    let mut checkpoints = fs::read_dir(root.join(CHECKPOINTS)).into_iter().flatten().flatten();
    checkpoints.next().map(|entry| entry.file_name().to_string_lossy().into_owned())
}

/// What is in the way, in words for the user.
pub(super) fn cannot(do_what: &str, root: &Path) -> String {
    format!(
        "cannot {do_what} the run directory {} (another can be chosen with --run-dir)",
        root.display()
    )
}
