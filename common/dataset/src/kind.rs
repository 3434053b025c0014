//! What kind of data set a folder, or an archive in place of one, holds.
//!
//! Called by [`super::load()`] for what was given by path. The kinds are tried in the order of [`Kind`]; each looks for
//! names alone.

use std::path::Path;

use super::error::DatasetError;
use super::formats::four_files::{self, FileNames};
use super::formats::place::{Place, file_names};
use super::formats::{Reading, Splits, cifar, class_names, emnist, numpy};

/// What can lie in a folder.
#[derive(Debug)]
pub enum Kind {
    /// Four IDX files under these names.
    Idx(&'static FileNames),
    /// Files of EMNIST, of one division or several.
    Emnist(Place),
    /// CIFAR-10 or CIFAR-100.
    Cifar(cifar::Found),
    /// NumPy arrays.
    NumPy(numpy::Found),
}

impl Kind {
    /// Looks at what there is.
    ///
    /// # Errors
    /// There is nothing, nothing that is known, or an archive that cannot be opened.
    pub fn of(path: &Path) -> Result<Self, DatasetError> {
        if !path.exists() {
            return Err(DatasetError::NotThere(path.to_owned()));
        }
        if let Some(names) = four_files::recognise(path) {
            return Ok(Kind::Idx(names));
        }
        if let Some(place) = emnist::place(path, None)? {
            return Ok(Kind::Emnist(place));
        }
        if let Some(found) = cifar::find(path)? {
            return Ok(Kind::Cifar(found));
        }
        if let Some(found) = numpy::find(path)? {
            return Ok(Kind::NumPy(found));
        }
        Err(unrecognised(path))
    }

    /// Reads what was found at `path`.
    pub fn read(self, path: &Path, reading: &Reading) -> Result<Splits, DatasetError> {
        match self {
            Kind::Idx(names) => {
                four_files::read(path, names, reading, class_names::in_folder(path)?)
            }
            Kind::Emnist(mut place) => match emnist::divisions(&place)[..] {
                [only] => emnist::read(&mut place, only, reading),
                ref several => Err(DatasetError::WhichDivision {
                    place: Some(path.to_owned()),
                    divisions: several.to_vec(),
                }),
            },
            Kind::Cifar(found) => cifar::read(&found, reading),
            Kind::NumPy(found) => numpy::read(&found, reading),
        }
    }
}

fn unrecognised(path: &Path) -> DatasetError {
    let is_file = path.is_file();
    let mut found = file_names(path);
    if found.is_empty() {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        found = entries.map(|entry| format!("{}/", entry.file_name().to_string_lossy())).collect();
        found.sort_unstable();
    }
    DatasetError::Unrecognised { path: path.to_owned(), is_file, found }
}
