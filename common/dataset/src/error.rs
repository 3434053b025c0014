//! What can go wrong with data, in words for the user: what, where, and what to do.
//!
//! Raised throughout [`super`], shown by the coordinator. The formats' own errors are in
//! [`super::formats::problem`], the network's in [`super::download`].

use std::path::PathBuf;

use thiserror::Error;

use super::download::DownloadError;
use super::formats::emnist::Division;
use super::formats::problem::{FileError, list};
use super::images::ImagesError;
use super::known::PublishedFile;
use super::names::NAMES;

/// Why there is no data to train on.
#[derive(Debug, Error)]
pub enum DatasetError {
    /// `--dataset` is neither a known name nor a path.
    #[error(
        "no data set is called `{given}`{}; known are {}; a folder of that name is written `./{given}`",
        suggestion.map_or(String::new(), |name| format!(", did you mean `{name}`?")),
        NAMES.join(", ")
    )]
    UnknownName {
        /// What the user wrote.
        given: String,
        /// The nearest known name, if one is near.
        suggestion: Option<&'static str>,
    },
    /// `--dataset` is a list of files of the wrong length.
    #[error(
        "`{given}` does not name two or four files; write TRAIN_IMAGES,TRAIN_LABELS or \
         TRAIN_IMAGES,TRAIN_LABELS,TEST_IMAGES,TEST_LABELS"
    )]
    FileList {
        /// What the user wrote.
        given: String,
    },
    /// A folder lacks a file.
    #[error("{} holds neither {name} nor {name}.gz; put it there or choose another folder", folder.display())]
    Missing {
        /// Where it was looked for.
        folder: PathBuf,
        /// Its usual name, without `.gz`.
        name: &'static str,
    },
    /// A data set lacks a file.
    #[error("{} holds no {name}; put it there or choose another data set", place.display())]
    MissingMember {
        /// The folder or archive.
        place: PathBuf,
        /// Its usual name.
        name: String,
    },
    /// No folder and no file.
    #[error("{} is not there; check the path, known names are {}", .0.display(), NAMES.join(", "))]
    NotThere(PathBuf),
    /// A folder or file that holds no data set that is known.
    #[error(
        "{} holds no data set that is known: {}. Looked for are a folder of images for each class (DIR/CLASS/… or \
         DIR/train/CLASS/…), IDX files named as MNIST's (train-images-idx3-ubyte, …), \
         QMNIST's or EMNIST's, CIFAR's binary version, and NumPy arrays (x_train.npy, …, or mnist.npz); other names can be \
         given as TRAIN_IMAGES,TRAIN_LABELS,TEST_IMAGES,TEST_LABELS",
        path.display(),
        if *is_file { "it is one file of another kind".to_owned() } else { format!("there lie {}", list(found)) }
    )]
    Unrecognised {
        /// What was given.
        path: PathBuf,
        /// Whether it is a file.
        is_file: bool,
        /// Names of what lies in it.
        found: Vec<String>,
    },
    /// A folder of images is no data set, or has one that cannot be used.
    #[error(transparent)]
    Images(#[from] ImagesError),
    /// EMNIST without saying which.
    #[error(
        "{}EMNIST is divided in several ways; name one: --dataset {}",
        place.as_ref().map_or(String::new(), |place| format!("{} holds EMNIST. ", place.display())),
        list(&with_place(divisions, place.as_ref()))
    )]
    WhichDivision {
        /// Where they are; nothing where the name was given.
        place: Option<PathBuf>,
        /// Those to choose from.
        divisions: Vec<Division>,
    },
    /// A place that lacks the division asked for.
    #[error(
        "{} does not hold {}, but {}; choose another place or name",
        place.display(), wanted.name(), list(&with_place(found, None))
    )]
    NoDivision {
        /// Where it was looked for.
        place: PathBuf,
        /// What was asked for.
        wanted: Division,
        /// What is there.
        found: Vec<Division>,
    },
    /// Training and test images differ.
    #[error(
        "the images to train on are {} pixels, those to test on {}; resize one of them",
        size(train),
        size(test)
    )]
    SizeMismatch {
        /// Channels, height and width.
        train: [usize; 3],
        /// Channels, height and width.
        test: [usize; 3],
    },
    /// Images of another size than was asked for.
    #[error(
        "the images are {} pixels, but --image-size says {height}x{width}; leave that out, or resize the images in the \
         files",
        size(found)
    )]
    OtherSize {
        /// Channels, height and width.
        found: [usize; 3],
        /// As it was given.
        height: usize,
        /// As it was given.
        width: usize,
    },
    /// A list of names that does not fit the labels.
    #[error(
        "{} names {names} classes, but the labels go up to {}, which makes {classes}; give each class a line, in the \
         order of the labels",
        file.display(), classes - 1
    )]
    NameCount {
        /// The list.
        file: PathBuf,
        /// How many it has.
        names: usize,
        /// Classes by the labels.
        classes: usize,
    },
    /// A label beyond the classes of a known set.
    #[error("the labels go up to {label}, but {name} has {classes} classes; fetch the right files")]
    BeyondClasses {
        /// The set.
        name: String,
        /// The highest label.
        label: usize,
        /// Classes that it has.
        classes: usize,
    },
    /// Nothing a network can be trained on.
    #[error("{0}; choose other data")]
    Shape(String),
    /// A file is not what it should be.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of a published data set lies under another one's name.
    #[error(
        "{} is {found}, not {expected}; put the right file there, or name what there is: --dataset {}",
        path.display(),
        found.set.name
    )]
    Another {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: PublishedFile,
        /// What was looked for.
        expected: PublishedFile,
    },
    /// Images and labels do not belong together.
    #[error(
        "{} holds {image_count} images but {} {label_count} labels; they do not belong together, give a matching pair",
        images.display(),
        labels.display()
    )]
    CountMismatch {
        /// The file of images.
        images: PathBuf,
        /// How many it holds.
        image_count: usize,
        /// The file of labels.
        labels: PathBuf,
        /// How many it holds.
        label_count: usize,
    },
    /// A file is neither here nor to be had.
    #[error(transparent)]
    Download(#[from] DownloadError),
}

/// Names as `--dataset` takes them.
fn with_place(divisions: &[Division], place: Option<&PathBuf>) -> Vec<String> {
    let ending = place.map_or(String::new(), |place| format!(":{}", place.display()));
    divisions.iter().map(|division| format!("{}{ending}", division.name())).collect()
}

fn size([channels, height, width]: &[usize; 3]) -> String {
    format!("{height}×{width}×{channels}")
}
