//! What a stretch begins with: a checkpoint that the run has left, or the run's own beginning.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use common::config::Config;

use crate::data::DATA_IDENTITY;
use crate::run_directory::{CHECKPOINTS, CONFIG, CheckpointPaths};

/// Where a stretch begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Steps done there.
    pub steps: u64,
    /// Name of the checkpoint; none for the run's beginning.
    pub checkpoint: Option<String>,
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.checkpoint {
            Some(stem) => write!(f, "the checkpoint {stem}"),
            None => f.write_str("the run's beginning"),
        }
    }
}

impl Start {
    /// The latest of these checkpoints, each with its steps, that is not after so many steps; else the run's beginning.
    pub fn of(checkpoints: &[(String, u64)], from: u64) -> Self {
        let earlier = checkpoints.iter().filter(|(_, step)| *step <= from);
        let latest = earlier.max_by_key(|(_, step)| *step);
        latest.map_or(Self { steps: 0, checkpoint: None }, |(stem, steps)| Self {
            steps: *steps,
            checkpoint: Some(stem.clone()),
        })
    }

    /// Makes a run directory in `root` that begins there with these settings, where that takes one.
    ///
    /// # Errors
    /// A file cannot be copied or written.
    pub fn prepare(&self, run: &Path, root: &Path, config: &Config) -> Result<()> {
        let Some(stem) = &self.checkpoint else { return Ok(()) };
        let folder = root.join(CHECKPOINTS);
        fs::create_dir(root).and_then(|()| fs::create_dir(&folder)).with_context(|| {
            format!("cannot create {} (does --keep name a folder in use?)", folder.display())
        })?;
        let from = CheckpointPaths::new(&run.join(CHECKPOINTS), stem);
        let to = CheckpointPaths::new(&folder, "last");
        for (from, to) in [
            (from.resume, to.resume),
            (from.model, to.model),
            (run.join(DATA_IDENTITY), root.join(DATA_IDENTITY)),
        ] {
            fs::copy(&from, &to)
                .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
        }
        let settings = root.join(CONFIG);
        fs::write(&settings, config.to_toml())
            .with_context(|| format!("cannot write {}", settings.display()))
    }
}
