//! `coordinator fingerprint RUN_DIR`: what a run has come to, in one line to compare with other machines'.

use std::path::PathBuf;

use anyhow::Result;

use crate::run_directory::fingerprint;

/// A validated wish for a fingerprint.
#[derive(Clone, Debug, clap::Args)]
pub struct FingerprintPlan {
    /// Folder of the run
    #[arg(value_name = "RUN_DIR")]
    pub run_dir: PathBuf,
}

/// The fingerprint of the run in a folder.
///
/// # Errors
/// It holds no run, or no whole checkpoint.
pub fn command(plan: &FingerprintPlan) -> Result<String> {
    fingerprint::of(&plan.run_dir)
}
