//! Four files in a folder: images and labels to train on, images and labels to test on, under the names that data sets
//! are published with.
//!
//! `load` looks for published sets with it, `kind` for what a folder holds.

use std::path::{Path, PathBuf};

use super::pair::read_pair;
use super::{ClassNames, Reading, Splits};
use crate::error::DatasetError;
use crate::published::{MNIST_FILES, QMNIST_FILES};

/// Names without `.gz`, of the training images, training labels, test images and test labels.
pub type FileNames = [&'static str; 4];

/// All that a folder is looked through for.
const KNOWN: [&FileNames; 2] = [&MNIST_FILES, &QMNIST_FILES];

/// The names under which a folder holds at least one file.
pub fn recognise(folder: &Path) -> Option<&'static FileNames> {
    KNOWN.into_iter().find(|names| names.iter().any(|name| find(folder, name).is_some()))
}

/// Reads a folder's files; those to test on where they are wanted.
pub fn read(
    folder: &Path,
    names: &FileNames,
    reading: &Reading,
    class_names: ClassNames,
) -> Result<Splits, DatasetError> {
    let path = |&name: &&'static str| {
        let missing = || DatasetError::Missing { folder: folder.to_owned(), name };
        find(folder, name).ok_or_else(missing)
    };
    let wanted = if reading.test { &names[..] } else { &names[..2] };
    // What is missing shows before anything large is read.
    let files: Vec<PathBuf> = wanted.iter().map(path).collect::<Result<_, _>>()?;
    let mut pairs =
        files.as_chunks::<2>().0.iter().map(|[images, labels]| read_pair(images, labels, reading));
    let train = pairs.next().expect("two names are always wanted")?;
    Ok(Splits { train, test: pairs.next().transpose()?, names: class_names })
}

/// A file, plain or compressed, under its usual name or the one with a dot that some archives use.
pub fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let dotted = name.replace("-idx", ".idx");
    [name.to_owned(), format!("{name}.gz"), dotted.clone(), format!("{dotted}.gz")]
        .into_iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
}
