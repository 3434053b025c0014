//! Paths that workers may name: one plain file in one of three folders, nothing else.

use std::fmt;
use std::path::{Path, PathBuf};

use common::status::ServiceError;

/// Folders of results below the run directory.
pub const FOLDERS: [&str; 3] = ["checkpoints", "features", "pictures"];
/// Folder of checkpoints.
pub const CHECKPOINTS: &str = FOLDERS[0];
/// Folder of pictures.
pub const PICTURES: &str = FOLDERS[2];

const LONGEST_NAME: usize = 128;
const MODEL: &str = ".safetensors";
const RESUME: &str = ".resume.safetensors";
/// Belongs to the coordinator: see `retention`.
const PREVIOUS: &str = ".previous.resume.safetensors";

/// A checked path of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactPath {
    folder: &'static str,
    name: String,
}

/// What a file below `checkpoints/` is, and of which checkpoint: `last`, `best`, `epoch=3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointFile<'p> {
    /// `X.safetensors`: parameters, buffers, centers.
    Model(&'p str),
    /// `X.resume.safetensors`: what a resumed run needs beside the model.
    Resume(&'p str),
}

impl ArtifactPath {
    /// Checks a path that came over the network.
    ///
    /// # Errors
    /// Says what a path must look like.
    pub fn parse(path: &str) -> Result<Self, ServiceError> {
        let parts = path.split_once('/').and_then(|(folder, name)| {
            let folder = FOLDERS.into_iter().find(|known| *known == folder)?;
            is_plain(name).then(|| Self { folder, name: name.to_string() })
        });
        parts.filter(|path| !path.name.ends_with(PREVIOUS)).ok_or_else(|| {
            ServiceError::Invalid(format!(
                "`{path}` is not the path of an artifact: it must be {}/ and a file name of letters, digits and `=._-`",
                FOLDERS.join("|")
            ))
        })
    }

    /// One of [`FOLDERS`].
    pub fn folder(&self) -> &'static str {
        self.folder
    }

    /// The file's name in it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file below `root`.
    pub fn below(&self, root: &Path) -> PathBuf {
        root.join(self.folder).join(&self.name)
    }

    /// What part of which checkpoint this is, if it is one.
    pub fn checkpoint(&self) -> Option<CheckpointFile<'_>> {
        if self.folder != CHECKPOINTS {
            return None;
        }
        match self.name.strip_suffix(RESUME) {
            Some(stem) => Some(CheckpointFile::Resume(stem)),
            None => self.name.strip_suffix(MODEL).map(CheckpointFile::Model),
        }
    }
}

/// The three files of one checkpoint.
#[derive(Clone, Debug)]
pub struct CheckpointPaths {
    /// `X.safetensors`.
    pub model: PathBuf,
    /// `X.resume.safetensors`.
    pub resume: PathBuf,
    /// The resume file before, kept until a model file that names its successor is in place.
    pub previous_resume: PathBuf,
}

impl CheckpointPaths {
    /// Of the checkpoint `stem` in `folder`.
    pub fn new(folder: &Path, stem: &str) -> Self {
        let file = |suffix: &str| folder.join(format!("{stem}{suffix}"));
        Self { model: file(MODEL), resume: file(RESUME), previous_resume: file(PREVIOUS) }
    }
}

impl fmt::Display for ArtifactPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.folder, self.name)
    }
}

fn is_plain(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"=._-".contains(&byte);
    !name.is_empty()
        && name.len() <= LONGEST_NAME
        && !name.starts_with('.')
        && !name.contains("..")
        && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_in_known_folders() {
        for good in ["checkpoints/epoch=3.safetensors", "pictures/features.gif", "features/a_b-C.x"]
        {
            assert_eq!(ArtifactPath::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "config.toml",
            "checkpoints",
            "checkpoints/",
            "/checkpoints/a",
            "checkpoints/../config.toml",
            "checkpoints/a/b",
            "checkpoints//a",
            "checkpoints/.hidden",
            "checkpoints/a..b",
            "checkpoints/a b",
            "checkpoints/a\0",
            "checkpoints/a\\b",
            "checkpoints/ä",
            "checkpoints/last.previous.resume.safetensors",
            "logs/worker-0.log",
            "./checkpoints/a",
        ] {
            assert!(ArtifactPath::parse(bad).is_err(), "{bad:?}");
        }
        assert!(ArtifactPath::parse(&format!("pictures/{}", "x".repeat(129))).is_err());
    }

    #[test]
    fn checkpoints_are_recognised() {
        let parse = |path: &str| ArtifactPath::parse(path).unwrap();
        let (model, resume) = (
            parse("checkpoints/epoch=3.safetensors"),
            parse("checkpoints/last.resume.safetensors"),
        );
        assert_eq!(model.checkpoint(), Some(CheckpointFile::Model("epoch=3")));
        assert_eq!(resume.checkpoint(), Some(CheckpointFile::Resume("last")));
        assert_eq!(parse("features/epoch=3.safetensors").checkpoint(), None);
    }
}
