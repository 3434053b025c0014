//! CIFAR-10 and CIFAR-100 (Krizhevsky, 2009) in their binary version, unpacked or as the published archive.
//!
//! Called by `load` for their names and for folders that hold their files. A record is one label, or two of which the
//! second is the finer, and 3,072 bytes: planes of red, green and blue, 32 × 32 each; [`super::cifar_records`] reads them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::cifar_records::{PIXELS, records_of};
use super::content::Content;
use super::problem::{FileError, Problem};
use super::tar::each_member;
use super::{ClassNames, Pair, Reading, Splits, cifar_names, class_names};
use crate::error::DatasetError;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Ten classes.
    Ten,
    /// A hundred classes, of which twenty coarser ones are not used.
    Hundred,
}

impl Variant {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Variant::Ten => "cifar-10",
            Variant::Hundred => "cifar-100",
        }
    }

    /// The folder in its archive.
    fn folder(self) -> &'static str {
        match self {
            Variant::Ten => "cifar-10-batches-bin",
            Variant::Hundred => "cifar-100-binary",
        }
    }

    /// Its archive as published.
    pub fn archive(self) -> &'static str {
        match self {
            Variant::Ten => "cifar-10-binary.tar.gz",
            Variant::Hundred => "cifar-100-binary.tar.gz",
        }
    }

    /// Files of samples to train on, and the one to test on.
    fn files(self) -> (&'static [&'static str], &'static str) {
        match self {
            Variant::Ten => (
                &[
                    "data_batch_1.bin",
                    "data_batch_2.bin",
                    "data_batch_3.bin",
                    "data_batch_4.bin",
                    "data_batch_5.bin",
                ],
                "test_batch.bin",
            ),
            Variant::Hundred => (&["train.bin"], "test.bin"),
        }
    }

    fn names_file(self) -> &'static str {
        match self {
            Variant::Ten => "batches.meta.txt",
            Variant::Hundred => "fine_label_names.txt",
        }
    }

    pub(crate) fn class_names(self) -> &'static [&'static str] {
        match self {
            Variant::Ten => &cifar_names::TEN,
            Variant::Hundred => &cifar_names::HUNDRED,
        }
    }

    /// Bytes of labels in a record.
    pub(crate) fn label_bytes(self) -> usize {
        match self {
            Variant::Ten => 1,
            Variant::Hundred => 2,
        }
    }

    pub(crate) fn layout(self) -> &'static str {
        match self {
            Variant::Ten => "a label and 32 × 32 × 3 pixels, as CIFAR-10's binary version has",
            Variant::Hundred => {
                "two labels and 32 × 32 × 3 pixels, as CIFAR-100's binary version has"
            }
        }
    }
}

/// Where its files are.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Unpacked.
    Folder(Variant, PathBuf),
    /// As published.
    Archive(Variant, PathBuf),
}

impl Found {
    /// Which of the two.
    pub fn variant(&self) -> Variant {
        let (Found::Folder(variant, _) | Found::Archive(variant, _)) = self;
        *variant
    }
}

/// What lies in a folder, in the folder of that name in it, or as an archive, or is an archive.
pub fn find(path: &Path) -> Result<Option<Found>, FileError> {
    if path.is_file() {
        return Ok(archive_variant(path)?.map(|variant| Found::Archive(variant, path.to_owned())));
    }
    for variant in [Variant::Ten, Variant::Hundred] {
        let (first, _) = variant.files();
        // Other sets have a file `train.bin`, too.
        let is_here = |folder: &Path| {
            folder.join(first[0]).is_file() && (variant == Variant::Ten || is_hundred(folder))
        };
        for folder in [path.to_owned(), path.join(variant.folder())] {
            if is_here(&folder) {
                return Ok(Some(Found::Folder(variant, folder)));
            }
        }
        let archive = path.join(variant.archive());
        if archive.is_file() {
            return Ok(Some(Found::Archive(variant, archive)));
        }
    }
    Ok(None)
}

fn is_hundred(folder: &Path) -> bool {
    let record = (Variant::Hundred.label_bytes() + PIXELS) as u64;
    let length = std::fs::metadata(folder.join("train.bin")).map_or(0, |file| file.len());
    folder.join(Variant::Hundred.names_file()).is_file() || length.is_multiple_of(record)
}

/// Reads what was found; the samples to test on where they are wanted.
pub(crate) fn read(found: &Found, reading: &Reading) -> Result<Splits, DatasetError> {
    let (variant, path, mut parts) = match found {
        Found::Folder(variant, folder) => {
            (*variant, folder, read_folder(*variant, folder, reading)?)
        }
        Found::Archive(variant, path) => (*variant, path, read_archive(*variant, path, reading)?),
    };
    let mut take = |name: &str| {
        let missing = || DatasetError::MissingMember { place: path.clone(), name: name.to_owned() };
        parts.samples.remove(name).ok_or_else(missing)
    };
    let (train_files, test_file) = variant.files();
    let mut train = take(train_files[0])?;
    for name in &train_files[1..] {
        let more = take(name)?;
        train.images.pixels.extend(more.images.pixels);
        train.labels.extend(more.labels);
    }
    let test = if reading.test { Some(take(test_file)?) } else { None };
    let known = || variant.class_names().iter().map(|&name| name.to_owned()).collect();
    Ok(Splits { train, test, names: ClassNames::Fixed(parts.names.unwrap_or_else(known)) })
}

/// Files that were read, by name.
#[derive(Default)]
struct Parts {
    samples: HashMap<String, Pair>,
    names: Option<Vec<String>>,
}

impl Parts {
    /// Whether a file of this name is of use.
    fn wants(variant: Variant, name: &str, reading: &Reading) -> bool {
        let (train, test) = variant.files();
        train.contains(&name) || (reading.test && name == test) || name == variant.names_file()
    }

    fn read(
        &mut self,
        variant: Variant,
        name: &str,
        content: &mut Content<'_>,
        reading: &Reading,
    ) -> Result<(), Problem> {
        if name == variant.names_file() {
            let names = class_names::lines(&content.all(class_names::LONGEST)?)?;
            let (found, expected) = (names.len(), variant.class_names().len());
            if found != expected {
                return Err(Problem::Lines { found, expected });
            }
            self.names = Some(names);
        } else {
            self.samples.insert(name.to_owned(), records_of(content, variant, reading)?);
        }
        Ok(())
    }
}

fn read_folder(variant: Variant, folder: &Path, reading: &Reading) -> Result<Parts, FileError> {
    let mut parts = Parts::default();
    let (train, test) = variant.files();
    for name in train.iter().chain([&test, &variant.names_file()]) {
        let path = folder.join(name);
        if path.is_file() && Parts::wants(variant, name, reading) {
            let mut content = Content::of_file(&path)?;
            parts
                .read(variant, name, &mut content, reading)
                .map_err(|problem| problem.of(&path))?;
        }
    }
    Ok(parts)
}

fn read_archive(variant: Variant, path: &Path, reading: &Reading) -> Result<Parts, FileError> {
    let mut parts = Parts::default();
    each_member(path, |name, content| {
        let read = if Parts::wants(variant, name, reading) {
            parts.read(variant, name, content, reading)
        } else {
            Ok(())
        };
        read.map(|()| true)
    })?;
    Ok(parts)
}

/// Which of the two an archive holds, from the first name that tells.
fn archive_variant(path: &Path) -> Result<Option<Variant>, FileError> {
    let content = Content::open(path).map_err(|error| Problem::Unreadable(error).of(path))?;
    let start = { content }.peek(512).unwrap_or_default();
    if start.get(257..262) != Some(b"ustar") {
        return Ok(None);
    }
    let mut found = None;
    each_member(path, |name, _| {
        let is_of = |variant: &Variant| {
            let (train, test) = variant.files();
            train.contains(&name) || name == test || name == variant.names_file()
        };
        found = [Variant::Ten, Variant::Hundred].into_iter().find(is_of);
        Ok(found.is_none())
    })?;
    Ok(found)
}

#[cfg(test)]
#[path = "cifar_tests.rs"]
mod tests;
