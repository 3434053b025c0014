//! A folder or a zip archive: a place where a data set's files lie under their own names.
//!
//! `emnist` reads from it, which is published as an archive and often kept unpacked.

use std::path::{Path, PathBuf};

use super::archive::Archive;
use super::content::Content;
use super::problem::{FileError, Problem};

/// Where files lie.
#[derive(Debug)]
pub enum Place {
    /// A folder on disk.
    Folder(PathBuf),
    /// An archive; where in it a file lies does not matter.
    Archive(Box<Archive>),
}

impl Place {
    /// Its folder or archive.
    pub fn path(&self) -> &Path {
        match self {
            Place::Folder(folder) => folder,
            Place::Archive(archive) => archive.path(),
        }
    }

    /// The names of its files, without folders, sorted; none where it cannot be read.
    pub fn names(&self) -> Vec<String> {
        match self {
            Place::Folder(folder) => file_names(folder),
            Place::Archive(archive) => {
                let mut names: Vec<String> =
                    archive.names().iter().map(|name| base(name).to_owned()).collect();
                names.retain(|name| !name.is_empty());
                names.sort_unstable();
                names
            }
        }
    }

    /// Reads the file of this name, of at most `limit` bytes where it lies in an archive.
    pub fn read<T>(
        &mut self,
        name: &str,
        limit: u64,
        read: impl FnOnce(&mut Content<'_>) -> Result<T, Problem>,
    ) -> Result<T, FileError> {
        match self {
            Place::Folder(folder) => {
                let path = folder.join(name);
                read(&mut Content::of_file(&path)?).map_err(|problem| problem.of(&path))
            }
            Place::Archive(archive) => {
                let member = archive.names().into_iter().find(|member| base(member) == name);
                archive.read(&member.unwrap_or_else(|| name.to_owned()), limit, read)
            }
        }
    }
}

/// The last part of a member's path.
fn base(member: &str) -> &str {
    member.rsplit('/').next().unwrap_or_default()
}

/// The names of a folder's files, sorted; none where it cannot be read.
pub fn file_names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.path().is_file());
    let mut names: Vec<String> =
        files.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}
