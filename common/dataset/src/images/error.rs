//! What can go wrong with a folder of images, in words for the user: what, where, and what to do.

use std::io;
use std::path::PathBuf;

use common::data_shape::DataShape;
use thiserror::Error;

/// How many of many are named.
pub(super) const NAMED: usize = 10;

/// Why there are no samples.
#[derive(Debug, Error)]
pub enum ImagesError {
    /// A folder cannot be looked into.
    #[error("cannot look into {}: {source}; let this user read it, or move it elsewhere", folder.display())]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder that is below itself.
    #[error(
        "{} leads back to {}, so that there would be no end of folders; remove that symbolic link",
        link.display(),
        folder.display()
    )]
    Circle {
        /// The folder, as it was come upon for the second time.
        link: PathBuf,
        /// The same folder above it.
        folder: PathBuf,
    },
    /// A class whose name is no text.
    #[error("{} is a class whose name is not UTF-8; rename the folder", folder.display())]
    ClassName {
        /// Its folder.
        folder: PathBuf,
    },
    /// There is a test set alone.
    #[error(
        "{} holds a folder `{test}` but none called `train`: put the images to train on into train/CLASS/",
        folder.display()
    )]
    NoTrain {
        /// Where both should be.
        folder: PathBuf,
        /// What there is.
        test: &'static str,
    },
    /// Nothing to tell apart.
    #[error(
        "{} holds {}: at least two are needed, a folder of images for each class: CLASS/…, or train/CLASS/… and \
         test/CLASS/…",
        folder.display(),
        match &found[..] { [] => "no class".to_owned(), found => format!("one class alone, `{}`", found.join("`, `")) }
    )]
    FewClasses {
        /// Where they were looked for.
        folder: PathBuf,
        /// Those that there are.
        found: Vec<String>,
    },
    /// Too much to tell apart.
    #[error(
        "{} holds {count} classes: at most {} can be; each folder in it is one, is it the right folder?",
        folder.display(),
        DataShape::MOST_CLASSES
    )]
    ManyClasses {
        /// Where they are.
        folder: PathBuf,
        /// How many.
        count: usize,
    },
    /// Classes without images.
    #[error(
        "{count} of the classes in {} have no image (.png, .jpg, .jpeg, .webp, .bmp): {}; put images into their folders, \
         or remove them",
        folder.display(),
        few(first, *count)
    )]
    EmptyClasses {
        /// Where their folders are.
        folder: PathBuf,
        /// The first of them.
        first: Vec<String>,
        /// How many.
        count: usize,
    },
    /// A share that is none.
    #[error("--test-fraction: is {0}, must be at least 0 and below 1")]
    TestFraction(f64),
    /// Every image went to the test set.
    #[error("none of the {count} images in {} is left to train on: give a smaller --test-fraction", folder.display())]
    AllTested {
        /// Where they are.
        folder: PathBuf,
        /// How many.
        count: usize,
    },
    /// Images of several sizes, and nobody said which samples are to have.
    #[error(
        "{} has {} × {} pixels, but {} has {} × {} (height × width): give the size that all shall be brought to, as in \
         --image-size 32 or --image-size 64x48",
        other.display(), other_size[0], other_size[1], first.display(), first_size[0], first_size[1]
    )]
    Sizes {
        /// The first image.
        first: PathBuf,
        /// Its height and width.
        first_size: [usize; 2],
        /// The first one of another size.
        other: PathBuf,
        /// Its height and width.
        other_size: [usize; 2],
    },
    /// Samples that nothing can be computed with.
    #[error("{}: {reason}; give a smaller --image-size", folder.display())]
    Shape {
        /// Where the images are.
        folder: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Images that cannot be used.
    #[error(
        "{count} of {all} images in {} cannot be used:\n{}\nremove or replace them, or leave them out with --skip-broken",
        folder.display(),
        lines(first, *count)
    )]
    Broken {
        /// Where they are.
        folder: PathBuf,
        /// The first of them.
        first: Vec<Broken>,
        /// How many.
        count: usize,
        /// How many images there are.
        all: usize,
    },
    /// Images were left out until none was left.
    #[error(
        "none of the {all} images to train on in {} can be used:\n{}\nput others there",
        folder.display(),
        lines(first, *all)
    )]
    NoneLeft {
        /// Where they are.
        folder: PathBuf,
        /// The first of them.
        first: Vec<Broken>,
        /// How many.
        all: usize,
    },
    /// What was decoded cannot be kept.
    #[error(
        "cannot write the decoded images, {bytes} bytes, into {}: {source}; make room there, or choose another folder \
         with --image-cache",
        folder.display()
    )]
    Cache {
        /// Where they should go.
        folder: PathBuf,
        /// About how many bytes they have.
        bytes: u64,
        /// What the system said.
        source: io::Error,
    },
}

/// An image that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

fn lines(first: &[Broken], count: usize) -> String {
    let mut lines: Vec<String> = first
        .iter()
        .map(|Broken { path, reason }| format!("  {}: {reason}", path.display()))
        .collect();
    if count > first.len() {
        lines.push(format!("  and {} more", count - first.len()));
    }
    lines.join("\n")
}

/// The first few of many, with how many more there are.
pub(super) fn few(first: &[String], count: usize) -> String {
    let more = count - first.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", first.join(", "))
}
