//! Finds the checkpoint that a resumed run goes on from, and makes it the last one.
//!
//! Called once, before anything is served. After it `checkpoints/last.*` is that checkpoint, and no resume file of
//! an earlier attempt is left to be mistaken for another.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::artifact_path::{CHECKPOINTS, CheckpointPaths};
use super::model_file::{self, CheckpointMetadata};
use super::{atomic, retention};
use common::computing::Proof;
use common::hexadecimal;

/// Name of the newest checkpoint.
pub const LAST: &str = "last";
/// Name of the checkpoint with the best test accuracy.
pub const BEST: &str = "best";

/// Why a run cannot be resumed.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// None of the checkpoints is whole, or no run has any.
    #[error(
        "no checkpoint to resume from in {folder}{reasons}; start a new run in another --run-dir"
    )]
    NoCheckpoint {
        /// Where they should be.
        folder: String,
        /// A line for each that cannot be used.
        reasons: String,
    },
    /// The folder cannot be read or changed.
    #[error("cannot use the checkpoints in {folder}: {source}")]
    Folder {
        /// Which.
        folder: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Where a resumed run goes on.
#[derive(Clone, Debug)]
pub struct ResumePoint {
    /// Position of the checkpoint.
    pub position: CheckpointMetadata,
    /// The checkpoint's name: `last`, or the newest intact `epoch=K`.
    pub stem: String,
    /// Newer checkpoints that cannot be used, and why.
    pub skipped: Vec<String>,
    /// What its writer has proved to compute, where it says so.
    pub proof: Option<Proof>,
}

/// The newest intact checkpoint in `folder`, made the last one; none where none was ever stored.
///
/// # Errors
/// None is intact, with a reason for each; or the folder cannot be changed.
pub fn find(folder: &Path) -> Result<Option<ResumePoint>, ResumeError> {
    let at = |source| ResumeError::Folder { folder: folder.display().to_string(), source };
    let epochs = retention::epochs(folder).map_err(at)?;
    let stems = [LAST.to_string()].into_iter().chain(epochs.into_iter().map(retention::epoch_stem));
    // Every checkpoint is settled, not only the one chosen: a leftover resume file would be kept for the wrong model.
    settle(folder, BEST).map_err(at)?.ok();
    let settled = stems.map(|stem| Ok((settle(folder, &stem)?, stem)));
    let settled = settled.collect::<io::Result<Vec<_>>>().map_err(at)?;
    let mut skipped = Vec::new();
    for (checkpoint, stem) in settled {
        match checkpoint {
            Ok(position) => {
                make_last(folder, &stem).map_err(at)?;
                let proof = model_file::proof_of(&CheckpointPaths::new(folder, &stem).resume);
                return Ok(Some(ResumePoint { position, stem, skipped, proof }));
            }
            Err(reason) => skipped.push(format!("{stem}.safetensors {reason}")),
        }
    }
    let is_model = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.ends_with(".safetensors") && !name.ends_with(".resume.safetensors")
    };
    if !fs::read_dir(folder).map_err(at)?.flatten().any(|entry| is_model(&entry)) {
        return Ok(None);
    }
    let reasons = skipped.iter().map(|reason| format!("\n  {reason}")).collect();
    Err(ResumeError::NoCheckpoint { folder: folder.display().to_string(), reasons })
}

/// Names of the checkpoints in a folder that are whole, each with the steps that are done in it. Changes nothing.
///
/// # Errors
/// The folder cannot be read.
pub fn whole_checkpoints(folder: &Path) -> io::Result<Vec<(String, u64)>> {
    let epochs = retention::epochs(folder)?.into_iter().map(retention::epoch_stem);
    let stems = [LAST, BEST].map(str::to_string).into_iter().chain(epochs);
    let whole = stems.filter_map(|stem| {
        let paths = CheckpointPaths::new(folder, &stem);
        let metadata = model_file::read(&paths.model).ok()?;
        is_named_by(&metadata, &paths.resume).then_some((stem, metadata.step))
    });
    Ok(whole.collect())
}

/// Checks one checkpoint and leaves it with the one resume file that its model names. The inner error says why it
/// cannot be used.
fn settle(folder: &Path, stem: &str) -> io::Result<Result<CheckpointMetadata, String>> {
    let paths = CheckpointPaths::new(folder, stem);
    let metadata = match model_file::read(&paths.model) {
        Ok(metadata) => metadata,
        Err(reason) => return Ok(Err(reason)),
    };
    if is_named_by(&metadata, &paths.resume) {
        atomic::remove(&paths.previous_resume)?;
    } else if is_named_by(&metadata, &paths.previous_resume) {
        fs::rename(&paths.previous_resume, &paths.resume)?;
        atomic::sync_folder_of(&paths.resume)?;
    } else {
        return Ok(Err(format!(
            "names a resume file that is not there or damaged ({})",
            file_name(&paths.resume)
        )));
    }
    Ok(Ok(metadata))
}

fn is_named_by(metadata: &CheckpointMetadata, resume: &Path) -> bool {
    let content = fs::read(resume);
    content.is_ok_and(|content| hexadecimal(&Sha256::digest(content)) == metadata.resume_sha256)
}

/// The resume file first: in between, `last` is as unusable as it was before.
fn make_last(folder: &Path, stem: &str) -> io::Result<()> {
    if stem == LAST {
        return Ok(());
    }
    let (from, to) = (CheckpointPaths::new(folder, stem), CheckpointPaths::new(folder, LAST));
    atomic::remove(&to.previous_resume)?;
    atomic::duplicate(&from.resume, &to.resume)?;
    atomic::duplicate(&from.model, &to.model)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The run below `runs` whose checkpoint is the newest.
///
/// # Errors
/// There is none.
pub fn newest_run(runs: &Path) -> Result<PathBuf, ResumeError> {
    let newest = fs::read_dir(runs).into_iter().flatten().flatten().filter_map(|entry| {
        let checkpoints = entry.path().join(CHECKPOINTS);
        let files = fs::read_dir(checkpoints).ok()?.flatten();
        let times = files.filter_map(|file| file.metadata().ok()?.modified().ok());
        times.max().map(|time| (time, entry.path()))
    });
    newest.max().map(|(_, path)| path).ok_or_else(|| ResumeError::NoCheckpoint {
        folder: runs.display().to_string(),
        reasons: " (a run's directory can be named: --resume DIR)".to_string(),
    })
}
