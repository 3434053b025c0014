//! Folders of pictures, a folder for each class, as torchvision's `ImageFolder` takes them. A tour:
//!
//! - [`load`]: from a folder to a [`Dataset`]; [`looks_like`]: whether a folder is one;
//! - `layout`: which images are trained on and tested with; `walk`: which there are; `split`: a test set where there is none;
//! - `survey`: what size and colours samples have where nobody said;
//! - `decode`: from a file to a picture; `jpeg`: whether a JPEG file is whole; `colours`: from its colours to a sample's;
//! - `fit`: from its size to a sample's; `resize`: the arithmetic of that;
//! - `make`: all of it, on all cores, into one file; `in_order`: how the cores share it;
//! - `cache`: where the file is kept; `header`: what is in it; `key`: whether it is the right one;
//! - [`error`]: what can go wrong, and what to do then.
//!
//! Samples are read from that file whenever they are needed, so that they may take more memory than there is.

mod cache;
mod colours;
mod decode;
pub mod error;
mod fit;
#[cfg(test)]
mod fixtures;
mod header;
mod in_order;
mod jpeg;
mod key;
mod layout;
mod make;
mod resize;
mod split;
mod survey;
mod walk;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use common::config::{ImageMode, ImageSize, Resize};
use indicatif::{ProgressBar, ProgressStyle};

pub use self::decode::Limits;
pub use self::error::ImagesError;
pub use self::layout::looks_like;

use self::cache::Folder;
use self::error::few;
use self::header::Header;
use self::layout::Listing;
use self::make::Order;
use self::walk::Source;
use crate::samples::Dataset;

/// How images become samples, and which.
#[derive(Clone, Debug)]
pub struct ImageOptions {
    /// Of samples; where it is not given, all images must have one.
    pub size: Option<ImageSize>,
    /// Of samples; where it is not given, they are grey if all images are.
    pub mode: Option<ImageMode>,
    /// What is done with images of other proportions.
    pub resize: Resize,
    /// The part of a set without a test set that is tested with, from 0 to below 1.
    pub test_fraction: f64,
    /// Leave out images that cannot be used; without it they are an error.
    pub skip_broken: bool,
    /// Only the first so many images to train on.
    pub train_samples: Option<usize>,
    /// Only the first so many images to test with; 0 for no test set.
    pub test_samples: Option<usize>,
    /// The folder for decoded images; without it, they are kept in a folder of the data set's own, or, if nothing can be
    /// written there, in one of [`Self::data_dir`].
    pub cache: Option<PathBuf>,
    /// The folder of downloaded data sets.
    pub data_dir: PathBuf,
    /// The largest image that is decoded.
    pub limits: Limits,
}

impl Default for ImageOptions {
    fn default() -> Self {
        Self {
            size: None,
            mode: None,
            resize: Resize::Crop,
            test_fraction: 0.0,
            skip_broken: false,
            train_samples: None,
            test_samples: None,
            cache: None,
            data_dir: PathBuf::from("data"),
            limits: Limits::default(),
        }
    }
}

impl ImageOptions {
    /// Whether there is to be a test set; without one its images are not looked for.
    fn wants_test(&self) -> bool {
        self.test_samples != Some(0)
    }
}

/// The samples of a folder, decoded or found decoded.
///
/// # Errors
/// The folder is no data set, an image cannot be used, or what is decoded cannot be written.
pub fn load(folder: &Path, name: String, options: &ImageOptions) -> Result<Dataset, ImagesError> {
    if !(0.0..1.0).contains(&options.test_fraction) {
        return Err(ImagesError::TestFraction(options.test_fraction));
    }
    let listing = layout::list(folder, options)?;
    listing.passed.log(folder);
    let (header, file) = decoded(folder, &listing, options)?;
    if header.left_out > 0 {
        let images = few(&header.left_out_first, header.left_out);
        tracing::warn!(count = header.left_out, images, "images that cannot be used are left out");
    }
    let dataset = header.dataset(name, file);
    warn_of_lacking_classes(&dataset);
    Ok(dataset)
}

/// The file of decoded images, made where there is none.
fn decoded(
    folder: &Path,
    listing: &Listing,
    options: &ImageOptions,
) -> Result<(Header, File), ImagesError> {
    let key = key::key(listing, options);
    let mut caches = Folder::all(folder, options);
    if let Some((header, file)) = caches.iter().find_map(|cache| cache.find(&key)) {
        tracing::info!(images = header.labels.len(), "images were decoded before");
        return Ok((header, file));
    }
    let last = caches.pop().expect("there is one place at least");
    let cache = caches.into_iter().find(Folder::is_writable).unwrap_or(last);
    let started = Instant::now();
    let sources: Vec<&Source> = listing.train.iter().chain(&listing.test).collect();
    let form = survey::form(folder, &sources, options)?;
    survey::shape(folder, form, listing.classes.len())?;
    let order = Order { folder, listing, form, key: &key, options };
    let (header, file) = make::make(&order, &cache)?;
    let (images, seconds) = (header.labels.len(), started.elapsed().as_secs_f64());
    tracing::info!(images, seconds, folder = %cache.path().display(), "decoded images");
    Ok((header, file))
}

/// Names classes that one part has no sample of.
fn warn_of_lacking_classes(dataset: &Dataset) {
    let parts = [("trained on", &dataset.train), ("tested with", &dataset.test)];
    for (what, samples) in parts.into_iter().filter(|(_, samples)| !samples.is_empty()) {
        let counts = samples.class_counts(dataset.shape.classes);
        let lacking = dataset.class_names.iter().zip(counts).filter(|(_, count)| *count == 0);
        let names: Vec<String> = lacking.map(|(name, _)| name.clone()).collect();
        if !names.is_empty() {
            let count = names.len();
            let classes = few(&names[..count.min(error::NAMED)], count);
            tracing::warn!(count, classes, "no image of these classes is {what}");
        }
    }
}

/// A bar on standard error; invisible where that is no terminal.
fn progress(count: usize, done: &str) -> ProgressBar {
    let style = format!("{{bar:40}} {{pos}}/{{len}} images {done}, {{per_sec}}, {{eta}}");
    let style = ProgressStyle::with_template(&style).expect("the template is well-formed");
    ProgressBar::new(count as u64).with_style(style)
}

#[cfg(test)]
#[path = "images_tests.rs"]
mod tests;
