//! Which images of a folder are trained on and which tested with, and of which class each is.
//!
//! Called by [`super::load`]. Looks into no file.

use std::path::{Path, PathBuf};

use common::data_shape::DataShape;

use super::ImageOptions;
use super::error::{ImagesError, NAMED};
use super::split;
use super::walk::{self, Entry, PassedOver, Source, Why};

/// The images of a folder.
#[derive(Debug)]
pub(super) struct Listing {
    /// Classes in the order of their names, byte by byte; a label is a place in it.
    pub classes: Vec<String>,
    /// To train on, class by class.
    pub train: Vec<Source>,
    /// To test with, class by class.
    pub test: Vec<Source>,
    /// What else lies there.
    pub passed: PassedOver,
}

/// Where a folder has its classes.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    /// The folder of training classes, from the data set's.
    train: &'static str,
    /// The folder of test classes, from the data set's.
    test: Option<&'static str>,
}

/// How deep [`looks_like`] looks.
const DEPTH: usize = 8;

/// Whether a folder has folders in it with images in them.
pub fn looks_like(folder: &Path) -> bool {
    let entries = walk::entries(folder, Path::new("")).unwrap_or_default();
    let mut folders = entries.iter().filter(|entry| entry.is_folder() && !entry.is_hidden());
    folders.any(|entry| walk::has_image(folder, &entry.relative, DEPTH))
}

/// Lists the images of a folder, the first so many where that was asked for.
///
/// # Errors
/// It cannot be read, or what is in it is no data set.
pub(super) fn list(folder: &Path, options: &ImageOptions) -> Result<Listing, ImagesError> {
    let mut passed = PassedOver::default();
    let layout = Layout::of(folder, &mut passed)?;
    let train_classes = class_folders(folder, layout.train, &mut passed)?;
    let test_classes = layout.test.map(|test| class_folders(folder, test, &mut passed));
    let test_classes = test_classes.transpose()?.unwrap_or_default();
    let classes = union(folder, &train_classes, &test_classes)?;
    let mut images =
        |split: &str, present: &[String]| images_of(folder, split, present, &classes, &mut passed);
    let train = images(layout.train, &train_classes)?;
    let (mut train, mut test) = match layout.test {
        Some(test) if options.wants_test() => (train, images(test, &test_classes)?),
        Some(_) => (train, Vec::new()),
        None => split::split(train, options.test_fraction),
    };
    if layout.test.is_some() && options.test_fraction > 0.0 {
        tracing::warn!(
            "--test-fraction takes nothing from the images to train on: they have a test set"
        );
    }
    if train.is_empty() {
        return Err(ImagesError::AllTested { folder: folder.to_owned(), count: test.len() });
    }
    train.truncate(options.train_samples.unwrap_or(usize::MAX));
    test.truncate(if options.wants_test() {
        options.test_samples.unwrap_or(usize::MAX)
    } else {
        0
    });
    Ok(Listing { classes, train, test, passed })
}

impl Layout {
    /// How a folder is laid out: by splits if one called `train` has folders in it. So a class may be called `train`.
    fn of(folder: &Path, passed: &mut PassedOver) -> Result<Self, ImagesError> {
        let entries = walk::entries(folder, Path::new(""))?;
        let has = |name: &str| {
            let it = |entry: &&Entry| entry.is_folder() && entry.name() == name;
            entries.iter().find(it).is_some_and(|_| has_folders(folder, name))
        };
        let test = ["test", "val"].into_iter().find(|name| has(name));
        if !has("train") {
            let others = |entry: &Entry| entry.is_folder() && !entry.is_hidden();
            let only_tests = entries
                .iter()
                .filter(|entry| others(entry))
                .all(|entry| entry.name() == "test" || entry.name() == "val");
            return match test {
                Some(test) if only_tests => {
                    Err(ImagesError::NoTrain { folder: folder.to_owned(), test })
                }
                _ => Ok(Self { train: "", test: None }),
            };
        }
        let read = |entry: &Entry| {
            entry.name() == "train" || Some(entry.name()) == test.map(AsRef::as_ref)
        };
        if test == Some("test") && has("val") {
            tracing::info!(folder = %folder.display(), "tests are made with `test`; `val` is passed over");
        }
        for entry in entries.iter().filter(|entry| !read(entry)) {
            passed.add(why(entry), &entry.relative);
        }
        Ok(Self { train: "train", test })
    }
}

fn has_folders(folder: &Path, name: &str) -> bool {
    let entries = walk::entries(folder, Path::new(name)).unwrap_or_default();
    entries.iter().any(|entry| entry.is_folder() && !entry.is_hidden())
}

/// Why something is passed over that lies where classes lie, or beside the splits.
fn why(entry: &Entry) -> Why {
    if entry.is_hidden() {
        Why::Hidden
    } else if entry.is_folder() {
        Why::Beside
    } else if entry.is_image() {
        Why::Stray
    } else {
        Why::Foreign
    }
}

/// The names of the classes that have a folder in a split.
fn class_folders(
    folder: &Path,
    split: &str,
    passed: &mut PassedOver,
) -> Result<Vec<String>, ImagesError> {
    let mut names = Vec::new();
    for entry in walk::entries(folder, Path::new(split))? {
        if entry.is_folder() && !entry.is_hidden() {
            let name = entry.name().to_str().map(str::to_owned);
            let folder = || folder.join(&entry.relative);
            names.push(name.ok_or_else(|| ImagesError::ClassName { folder: folder() })?);
        } else {
            passed.add(why(&entry), &entry.relative);
        }
    }
    Ok(names)
}

/// The classes of both splits.
fn union(folder: &Path, train: &[String], test: &[String]) -> Result<Vec<String>, ImagesError> {
    let mut classes = [train, test].concat();
    classes.sort();
    classes.dedup();
    let folder = folder.to_owned();
    match classes.len() {
        0 | 1 => Err(ImagesError::FewClasses { folder, found: classes }),
        count if count > DataShape::MOST_CLASSES => Err(ImagesError::ManyClasses { folder, count }),
        _ => Ok(classes),
    }
}

/// The images of a split, class by class.
fn images_of(
    folder: &Path,
    split: &str,
    present: &[String],
    classes: &[String],
    passed: &mut PassedOver,
) -> Result<Vec<Source>, ImagesError> {
    let (mut images, mut empty) = (Vec::new(), Vec::new());
    for (label, class) in classes.iter().enumerate().filter(|(_, class)| present.contains(class)) {
        let relative = PathBuf::from(split).join(class);
        let found = walk::images(folder, &relative, label as u16, passed)?;
        if found.is_empty() {
            empty.push(class.clone());
        }
        images.extend(found);
    }
    if empty.is_empty() {
        return Ok(images);
    }
    let (folder, count) = (walk::below(folder, Path::new(split)), empty.len());
    empty.truncate(NAMED);
    Err(ImagesError::EmptyClasses { folder, first: empty, count })
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
