//! What can go wrong with data, in words for the user: what, where, and what to do.
//!
//! Raised throughout [`super`], shown by the coordinator. The format's own errors are in [`super::idx`], the network's
//! in [`super::download`].

use std::path::PathBuf;

use thiserror::Error;

use super::download::DownloadError;
use super::idx::IdxError;
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
    /// A file is not what it should be.
    #[error(transparent)]
    Idx(#[from] IdxError),
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
