//! What kind of data set a folder, or an archive in place of one, holds.
//!
//! Called by [`super::load()`] for what was given by path. Files are looked for by their names in the order of `Files`, then
//! folders of images.

use std::path::Path;

use super::assemble::assemble;
use super::error::DatasetError;
use super::formats::four_files::{self, FileNames};
use super::formats::place::{Place, file_names};
use super::formats::{Reading, Splits, cifar, class_names, emnist, numpy};
use super::images;
use super::load::LoadOptions;
use super::samples::Dataset;

/// The data set at `path`, under this name.
///
/// # Errors
/// There is nothing, nothing that is known, or something is wrong with it.
pub fn load(name: String, path: &Path, options: &LoadOptions) -> Result<Dataset, DatasetError> {
    if !path.exists() {
        return Err(DatasetError::NotThere(path.to_owned()));
    }
    if let Some(files) = Files::at(path)? {
        options.warn_of_unused(&name);
        return assemble(name, files.read(path, &options.reading())?, options);
    }
    if images::looks_like(path) {
        return Ok(images::load(path, name, &options.images())?);
    }
    Err(unrecognised(path))
}

/// Files of samples that are known by their names.
#[derive(Debug)]
enum Files {
    /// Four IDX files under these names.
    Idx(&'static FileNames),
    /// Files of EMNIST, of one division or several.
    Emnist(Place),
    /// CIFAR-10 or CIFAR-100.
    Cifar(cifar::Found),
    /// NumPy arrays.
    NumPy(numpy::Found),
}

impl Files {
    fn at(path: &Path) -> Result<Option<Self>, DatasetError> {
        if let Some(names) = four_files::recognise(path) {
            return Ok(Some(Self::Idx(names)));
        }
        if let Some(place) = emnist::place(path, None)? {
            return Ok(Some(Self::Emnist(place)));
        }
        if let Some(found) = cifar::find(path)? {
            return Ok(Some(Self::Cifar(found)));
        }
        Ok(numpy::find(path)?.map(Self::NumPy))
    }

    fn read(self, path: &Path, reading: &Reading) -> Result<Splits, DatasetError> {
        match self {
            Self::Idx(names) => {
                four_files::read(path, names, reading, class_names::in_folder(path)?)
            }
            Self::Emnist(mut place) => match emnist::divisions(&place)[..] {
                [only] => emnist::read(&mut place, only, reading),
                ref several => Err(DatasetError::WhichDivision {
                    place: Some(path.to_owned()),
                    divisions: several.to_vec(),
                }),
            },
            Self::Cifar(found) => cifar::read(&found, reading),
            Self::NumPy(found) => numpy::read(&found, reading),
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
