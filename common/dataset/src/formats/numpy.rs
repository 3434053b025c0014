//! NumPy arrays as samples: four files in a folder, or one `.npz` of all four arrays.
//!
//! Called by `load` for folders and archives, and by `pair` for a `.npz` in place of an array. Read are the names that
//! Keras, the Kuzushiji sets and MedMNIST use.

use std::path::{Path, PathBuf};

use super::archive::{Archive, is_zip};
use super::content::Content;
use super::pair::{matched, read_pair};
use super::place::file_names;
use super::problem::{FileError, Problem};
use super::{ClassNames, Pair, Reading, Role, Splits, class_names, labels, pixels};
use crate::error::DatasetError;

/// Names without ending: of images and labels to train on, of images and labels to test on.
type Names = [&'static str; 4];

const NAMES: [Names; 6] = [
    ["x_train", "y_train", "x_test", "y_test"],
    ["train-images", "train-labels", "test-images", "test-labels"],
    ["train_images", "train_labels", "test_images", "test_labels"],
    ["k49-train-imgs", "k49-train-labels", "k49-test-imgs", "k49-test-labels"],
    ["kmnist-train-imgs", "kmnist-train-labels", "kmnist-test-imgs", "kmnist-test-labels"],
    ["train-imgs", "train-labels", "test-imgs", "test-labels"],
];

/// Endings of files, the first to be taken first.
const ENDINGS: [&str; 2] = ["npy", "npz"];

/// Where arrays are.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Each in a file of its own in this folder.
    Folder(PathBuf, Names),
    /// All in one file.
    Archive(PathBuf, Names),
}

/// What lies in a folder, or is an archive.
pub fn find(path: &Path) -> Result<Option<Found>, FileError> {
    if path.is_file() {
        return if is_zip(path) { in_archive(path) } else { Ok(None) };
    }
    let is_here = |name: &&str| file(path, name).is_some();
    let with_images = NAMES.into_iter().find(|names| is_here(&names[0]));
    let with_any = || NAMES.into_iter().find(|names| names.iter().any(is_here));
    if let Some(names) = with_images.or_else(with_any) {
        return Ok(Some(Found::Folder(path.to_owned(), names)));
    }
    let mut archives = file_names(path);
    archives.retain(|name| name.ends_with(".npz"));
    match &archives[..] {
        [only] => in_archive(&path.join(only)),
        _ => Ok(None),
    }
}

fn in_archive(path: &Path) -> Result<Option<Found>, FileError> {
    let members = Archive::open(path)?.names();
    let is_here =
        |names: &Names| names[..2].iter().all(|name| members.contains(&format!("{name}.npy")));
    Ok(NAMES.into_iter().find(is_here).map(|names| Found::Archive(path.to_owned(), names)))
}

fn file(folder: &Path, name: &str) -> Option<PathBuf> {
    ENDINGS
        .map(|ending| folder.join(format!("{name}.{ending}")))
        .into_iter()
        .find(|path| path.is_file())
}

/// Reads what was found; the samples to test on where they are wanted.
pub fn read(found: &Found, reading: &Reading) -> Result<Splits, DatasetError> {
    match found {
        Found::Folder(folder, names) => read_splits(names, folder, reading, |images, labels| {
            let path = |name: &str| {
                let place = folder.clone();
                let missing = || DatasetError::MissingMember { place, name: format!("{name}.npy") };
                file(folder, name).ok_or_else(missing)
            };
            read_pair(&path(images)?, &path(labels)?, reading)
        }),
        Found::Archive(path, names) => {
            let mut archive = Archive::open(path)?;
            read_splits(names, path.parent().unwrap_or(path), reading, |images, labels| {
                read_members(&mut archive, images, labels, reading)
            })
        }
    }
}

/// Reads the pairs of these names; names of classes may lie in `folder`.
fn read_splits(
    names: &Names,
    folder: &Path,
    reading: &Reading,
    mut pair: impl FnMut(&str, &str) -> Result<Pair, DatasetError>,
) -> Result<Splits, DatasetError> {
    let [train_images, train_labels, test_images, test_labels] = names;
    let names = names_of_classes(folder, names)?;
    let train = pair(train_images, train_labels)?;
    let test = if reading.test { Some(pair(test_images, test_labels)?) } else { None };
    Ok(Splits { train, test, names })
}

/// The Kuzushiji sets come with a table of their classes.
fn names_of_classes(folder: &Path, names: &Names) -> Result<ClassNames, FileError> {
    let set = names[0].strip_suffix("-train-imgs");
    let map = set.map(|set| folder.join(format!("{set}_classmap.csv")));
    match map.filter(|map| map.is_file()) {
        Some(map) => class_names::of_class_map(&map),
        None => class_names::in_folder(folder),
    }
}

fn read_members(
    archive: &mut Archive,
    images: &str,
    labels: &str,
    reading: &Reading,
) -> Result<Pair, DatasetError> {
    let (images, labels) = (format!("{images}.npy"), format!("{labels}.npy"));
    let members = archive.names();
    for name in [&images, &labels] {
        if !members.contains(name) {
            let problem = Problem::Members { wanted: name.clone(), found: members };
            return Err(problem.of(archive.path()).into());
        }
    }
    let limit = member_limit(reading);
    let read = archive.read(&images, limit, |content| pixels::read(content, reading))?;
    let classes = archive.read(&labels, limit, |content| labels::read(content, reading))?;
    matched(read, classes, (archive.path().join(images), archive.path().join(labels)))
}

/// An array and its header.
fn member_limit(reading: &Reading) -> u64 {
    const HEADER: u64 = 1 << 17;
    reading.limit.saturating_add(HEADER)
}

/// Reads the array of a `.npz` that holds no other.
pub fn read_only_array<T>(
    path: &Path,
    role: Role,
    reading: &Reading,
    read: fn(&mut Content<'_>, &Reading) -> Result<T, Problem>,
) -> Result<T, FileError> {
    let mut archive = Archive::open(path)?;
    let found = archive.names();
    let [only] = &found[..] else {
        let wanted = format!("one array of {} alone", role.plural());
        return Err(Problem::Members { wanted, found }.of(path));
    };
    archive.read(only, member_limit(reading), |content| read(content, reading))
}

#[cfg(test)]
#[path = "numpy_tests.rs"]
mod tests;
