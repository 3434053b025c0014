//! Which checkpoint files stay when new ones arrive.
//!
//! A checkpoint is two files, written one after the other: the resume file, then the model file that names it by its
//! SHA-256. Between the two writes the model in place still names the resume file *before*, so that one is kept as
//! `X.previous.resume.safetensors` until the new model is in place.

use std::io;
use std::path::Path;

use super::artifact_path::{CHECKPOINTS, CheckpointFile, CheckpointPaths};
use super::atomic;

/// Beginning of the names of the checkpoints made at epochs' ends.
const EPOCH: &str = "epoch=";

/// Before a checkpoint's file is replaced.
pub fn before_put(root: &Path, file: &CheckpointFile<'_>) -> io::Result<()> {
    let CheckpointFile::Resume(stem) = file else {
        return Ok(());
    };
    let paths = CheckpointPaths::new(&root.join(CHECKPOINTS), stem);
    // A previous one that is still there is what the model in place names: the current one never got its model.
    if paths.resume.exists() && !paths.previous_resume.exists() {
        atomic::duplicate(&paths.resume, &paths.previous_resume)?;
    }
    Ok(())
}

/// After a checkpoint's file is in place. `keep` newest epoch checkpoints stay, 0 meaning all.
pub fn after_put(root: &Path, file: &CheckpointFile<'_>, keep: u64) -> io::Result<()> {
    let CheckpointFile::Model(stem) = file else {
        return Ok(());
    };
    let folder = root.join(CHECKPOINTS);
    atomic::remove(&CheckpointPaths::new(&folder, stem).previous_resume)?;
    if keep > 0 && stem.starts_with(EPOCH) {
        for epoch in epochs(&folder)?.into_iter().skip(keep as usize) {
            let paths = CheckpointPaths::new(&folder, &epoch_stem(epoch));
            // The model goes first: what is left of a checkpoint after a crash must not look like one.
            for path in [&paths.model, &paths.previous_resume, &paths.resume] {
                atomic::remove(path)?;
            }
        }
    }
    Ok(())
}

/// Epochs that have a model file in `folder`, newest first.
pub fn epochs(folder: &Path) -> io::Result<Vec<u64>> {
    let mut epochs = Vec::new();
    for entry in folder.read_dir()? {
        let name = entry?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(".safetensors"));
        epochs.extend(stem.and_then(|stem| stem.strip_prefix(EPOCH)?.parse::<u64>().ok()));
    }
    epochs.sort_unstable_by(|a, b| b.cmp(a));
    Ok(epochs)
}

/// Name of the checkpoint made at an epoch's end.
pub fn epoch_stem(epoch: u64) -> String {
    format!("{EPOCH}{epoch}")
}
