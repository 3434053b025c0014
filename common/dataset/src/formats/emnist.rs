//! EMNIST (Cohen, Afshar, Tapson and van Schaik, 2017): digits and letters, in six ways to divide them into classes.
//!
//! Called by `load` for its names and for folders that hold its files. They are IDX files, but images lie on their side,
//! and the letters' labels are counted from 1.

use std::path::{Path, PathBuf};

use super::archive::{Archive, is_zip};
use super::content::Content;
pub use super::place::Place;
use super::problem::{FileError, Problem};
use super::{ClassNames, Pair, Reading, Splits, labels, mapping, pair, pixels};
use crate::error::DatasetError;

/// A way to divide it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Division {
    /// 47 classes, as many samples of each.
    Balanced,
    /// 62 classes: digits, capital and small letters.
    ByClass,
    /// 47 classes: letters that look alike in both cases are one.
    ByMerge,
    /// Ten digits.
    Digits,
    /// 26 letters.
    Letters,
    /// Ten digits, as many samples as MNIST has.
    Mnist,
}

/// Small letters that are classes of their own where those that look like capital ones are not.
const DISTINCT: &str = "abdefghnqrt";

/// The folders that lie in its archive, or beside it.
const SUBFOLDERS: [&str; 3] = ["", "gzip", "raw"];
/// Names of its archive: as published, and as torchvision used to call it.
const ARCHIVES: [&str; 2] = ["gzip.zip", "emnist.zip"];

impl Division {
    /// All of them.
    pub const ALL: [Division; 6] = [
        Division::Balanced,
        Division::ByClass,
        Division::ByMerge,
        Division::Digits,
        Division::Letters,
        Division::Mnist,
    ];

    /// Its name on the command line; its files start with it.
    pub fn name(self) -> &'static str {
        match self {
            Division::Balanced => "emnist-balanced",
            Division::ByClass => "emnist-byclass",
            Division::ByMerge => "emnist-bymerge",
            Division::Digits => "emnist-digits",
            Division::Letters => "emnist-letters",
            Division::Mnist => "emnist-mnist",
        }
    }

    /// The division of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|division| division.name() == name)
    }

    /// The label of the first class.
    fn first_label(self) -> usize {
        usize::from(self == Division::Letters)
    }

    /// Names of its classes, as its mapping file gives them.
    fn class_names(self) -> Vec<String> {
        let each = |letters: &str| letters.chars().map(|letter| letter.to_string()).collect();
        let digits = "0123456789";
        let capitals: String = ('A'..='Z').collect();
        match self {
            Division::Digits | Division::Mnist => each(digits),
            Division::Letters => {
                let both = |letter: char| mapping::spelt(&[letter, letter.to_ascii_lowercase()]);
                capitals.chars().map(both).collect()
            }
            Division::ByClass => each(&format!("{digits}{capitals}{}", capitals.to_lowercase())),
            Division::Balanced | Division::ByMerge => {
                each(&format!("{digits}{capitals}{DISTINCT}"))
            }
        }
    }

    /// The name of one of its files, without `.gz`; `split` is `train` or `test`.
    fn file(self, split: &str, kind: &str) -> String {
        format!("{}-{split}-{kind}-ubyte", self.name())
    }
}

/// Where the files of a division are, or of any: in a folder, unpacked or as the published archive, or in the archive
/// itself.
pub fn place(path: &Path, wanted: Option<Division>) -> Result<Option<Place>, FileError> {
    let holds = |place: &Place| {
        let found = divisions(place);
        wanted.map_or(!found.is_empty(), |wanted| found.contains(&wanted))
    };
    if path.is_file() {
        let archive = if is_zip(path) { Some(archive(path)?) } else { None };
        return Ok(archive.filter(holds));
    }
    let folders = SUBFOLDERS.map(|name| Place::Folder(path.join(name)));
    if let Some(folder) = folders.into_iter().find(holds) {
        return Ok(Some(folder));
    }
    let packed = ARCHIVES.map(|name| path.join(name)).into_iter().find(|path| path.is_file());
    let archive = packed.map(|path| archive(&path)).transpose()?;
    Ok(archive.filter(holds))
}

fn archive(path: &Path) -> Result<Place, FileError> {
    Ok(Place::Archive(Box::new(Archive::open(path)?)))
}

/// The divisions whose images to train on are there.
pub fn divisions(place: &Place) -> Vec<Division> {
    let names = place.names();
    let is_there =
        |division: &Division| find(&names, &division.file("train", "images-idx3")).is_some();
    Division::ALL.into_iter().filter(is_there).collect()
}

/// The name under which a file is there: plain or compressed.
fn find(names: &[String], name: &str) -> Option<String> {
    [name.to_owned(), format!("{name}.gz")].into_iter().find(|name| names.contains(name))
}

/// Reads a division; the samples to test on where they are wanted.
pub(crate) fn read(
    place: &mut Place,
    division: Division,
    reading: &Reading,
) -> Result<Splits, DatasetError> {
    let names = class_names(place, division)?;
    let train = read_split(place, (division, "train"), names.len(), reading)?;
    let test = if reading.test {
        Some(read_split(place, (division, "test"), names.len(), reading)?)
    } else {
        None
    };
    Ok(Splits { train, test, names: ClassNames::Fixed(names) })
}

fn read_split(
    place: &mut Place,
    (division, split): (Division, &str),
    classes: usize,
    reading: &Reading,
) -> Result<Pair, DatasetError> {
    let names = place.names();
    let path = place.path().to_owned();
    let file = |kind| {
        let name = division.file(split, kind);
        let missing = || DatasetError::MissingMember { place: path.clone(), name: name.clone() };
        find(&names, &name).ok_or_else(missing)
    };
    let (image_file, label_file) = (file("images-idx3")?, file("labels-idx1")?);
    let read_images = |content: &mut Content<'_>| pixels::read(content, reading);
    let images = place.read(&image_file, reading.limit, read_images)?.transposed();
    let first = division.first_label();
    let read_labels = |content: &mut Content<'_>| {
        counted_from_zero(labels::read(content, reading)?, first, classes)
    };
    let labels = place.read(&label_file, reading.limit, read_labels)?;
    let from = |name: String| -> PathBuf { path.join(name) };
    pair::matched(images, labels, (from(image_file), from(label_file)))
}

/// Labels as they are used here.
fn counted_from_zero(labels: Vec<u16>, first: usize, classes: usize) -> Result<Vec<u16>, Problem> {
    let last = first + classes - 1;
    match labels.iter().position(|&label| !(first..=last).contains(&usize::from(label))) {
        Some(index) => Err(Problem::OtherClass { index, label: labels[index], first, last }),
        None => Ok(labels.into_iter().map(|label| label - first as u16).collect()),
    }
}

/// Names of the classes: the mapping file's where it is there, otherwise those that are known.
fn class_names(place: &mut Place, division: Division) -> Result<Vec<String>, FileError> {
    let known = division.class_names();
    let file = format!("{}-mapping.txt", division.name());
    if !place.names().contains(&file) {
        return Ok(known);
    }
    place.read(&file, super::class_names::LONGEST, |content| {
        let names =
            mapping::names(&content.all(super::class_names::LONGEST)?, division.first_label())?;
        let (found, expected) = (names.len(), known.len());
        if found == expected { Ok(names) } else { Err(Problem::Lines { found, expected }) }
    })
}

#[cfg(test)]
#[path = "emnist_tests.rs"]
mod tests;
