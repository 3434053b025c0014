//! Where the runs of a command are: a folder that the user names, or a temporary one that stays only where something is wrong.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// The folder.
pub enum Folder {
    /// Goes away by itself.
    Temporary(TempDir),
    /// The user's.
    Named(PathBuf),
}

impl Folder {
    /// The one that is named by `--keep`, or a temporary one of a command.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn new(keep: Option<&Path>, command: &str) -> Result<Self> {
        let Some(path) = keep else {
            let folder =
                tempfile::Builder::new().prefix(&format!("concentric-{command}-")).tempdir();
            return Ok(Self::Temporary(folder.context("cannot create a temporary folder")?));
        };
        std::fs::create_dir_all(path)
            .with_context(|| format!("cannot create {} (given by --keep)", path.display()))?;
        Ok(Self::Named(path.to_path_buf()))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Named(path) => path,
        }
    }

    /// Lets it stay.
    pub fn keep(self) -> PathBuf {
        match self {
            Self::Temporary(folder) => folder.keep(),
            Self::Named(path) => path,
        }
    }
}
