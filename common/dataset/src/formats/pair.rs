//! Images and the labels that belong to them, from two files: IDX, plain or compressed, or NumPy.
//!
//! Called for files given by path and for folders of such files. Which format a file has shows in its first bytes.

use std::path::{Path, PathBuf};

use super::archive::is_zip;
use super::content::Content;
use super::problem::{FileError, Problem};
use super::{Images, Pair, Reading, Role, labels, numpy, pixels};
use crate::error::DatasetError;

/// Reads images and as many labels.
pub fn read_pair(images: &Path, labels: &Path, reading: &Reading) -> Result<Pair, DatasetError> {
    let (read, classes) = (read_images(images, reading)?, read_labels(labels, reading)?);
    matched(read, classes, (images.into(), labels.into()))
}

/// Reads a file of images.
pub fn read_images(path: &Path, reading: &Reading) -> Result<Images, FileError> {
    read_file(path, Role::Images, reading, pixels::read)
}

/// Reads a file of labels.
pub fn read_labels(path: &Path, reading: &Reading) -> Result<Vec<u16>, FileError> {
    read_file(path, Role::Labels, reading, labels::read)
}

/// What a file's stream becomes.
type Reader<T> = fn(&mut Content<'_>, &Reading) -> Result<T, Problem>;

fn read_file<T>(
    path: &Path,
    role: Role,
    reading: &Reading,
    read: Reader<T>,
) -> Result<T, FileError> {
    if is_zip(path) {
        return numpy::read_only_array(path, role, reading, read);
    }
    read(&mut Content::of_file(path)?, reading).map_err(|problem| problem.of(path))
}

/// Images and labels, if there are as many of these as of those; `from` is where they are from.
pub fn matched(
    images: Images,
    labels: Vec<u16>,
    from: (PathBuf, PathBuf),
) -> Result<Pair, DatasetError> {
    let (image_count, label_count) = (images.count(), labels.len());
    if image_count == label_count {
        return Ok(Pair { images, labels });
    }
    let (images, labels) = from;
    Err(DatasetError::CountMismatch { images, image_count, labels, label_count })
}
