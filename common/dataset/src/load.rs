//! From what `--dataset` names to samples in memory.
//!
//! Called by the coordinator once per run. Looks for files, has them downloaded where they are missing, reads them.

use std::path::{Path, PathBuf};

use super::assemble::{assemble, numbered};
use super::download::Patience;
use super::error::DatasetError;
use super::formats::emnist::{self, Division, Place};
use super::formats::pair::read_pair;
use super::formats::{ClassNames, Reading, Splits, cifar};
use super::images::ImageOptions;
use super::kind;
use super::provide::{compare_archive, provide, provide_archive, read_published};
use super::published::{self, EMNIST, MNIST, Part};
use super::samples::Dataset;
use super::source::DatasetSource;
use super::synthetic::{self, Split};
use common::config::{ImageMode, ImageSize, Resize};
use common::data_shape::DataShape;

/// Where to look, and how much to take.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Folder of downloaded data sets: each has a folder of its name in it.
    pub data_dir: PathBuf,
    /// A folder that holds the four files of MNIST; then nothing is downloaded for it.
    pub mnist_dir: Option<PathBuf>,
    /// The first so many samples to train on; `None` for all.
    pub train_samples: Option<usize>,
    /// The first so many samples to test on; `None` for all.
    pub test_samples: Option<usize>,
    /// Height and width of samples: of images in folders, which are brought to it, and of images that lie in rows of numbers;
    /// all others have to have it, too.
    pub image_size: Option<ImageSize>,
    /// Of images in folders.
    pub image_mode: Option<ImageMode>,
    /// What is done with images in folders that have another size.
    pub resize: Resize,
    /// The part of a folder's images that are tested with where it has no test set.
    pub test_fraction: f64,
    /// Whether images in folders that cannot be used are left out.
    pub skip_broken: bool,
    /// Where decoded images are kept; in their folder or in `data_dir` where it is not given.
    pub image_cache: Option<PathBuf>,
    /// Other digits from other seeds, where they are drawn.
    pub synthetic_seed: u64,
    /// Addresses, each ending in `/`, in place of the published mirrors.
    pub mirrors: Option<Vec<String>>,
}

impl LoadOptions {
    /// Whether there is to be a test set; without one its files are not looked for.
    fn wants_test(&self) -> bool {
        self.test_samples != Some(0)
    }

    /// The files that are needed.
    pub(super) fn parts(&self) -> &'static [Part] {
        if self.wants_test() { &Part::ALL } else { &Part::ALL[..2] }
    }

    /// What files are read for.
    pub(super) fn reading(&self) -> Reading {
        let image_size = self.image_size.map(|size| (size.height(), size.width()));
        Reading { image_size, test: self.wants_test(), ..Reading::default() }
    }

    /// How folders of images are read.
    pub(super) fn images(&self) -> ImageOptions {
        ImageOptions {
            size: self.image_size,
            mode: self.image_mode,
            resize: self.resize,
            test_fraction: self.test_fraction,
            skip_broken: self.skip_broken,
            train_samples: self.train_samples,
            test_samples: self.test_samples,
            cache: self.image_cache.clone(),
            data_dir: self.data_dir.clone(),
            ..ImageOptions::default()
        }
    }

    /// Says what was given that only folders of images have a use for.
    pub(super) fn warn_of_unused(&self, name: &str) {
        let given = [
            ("--image-mode", self.image_mode.is_some()),
            ("--resize", self.resize != Resize::default()),
            ("--test-fraction", self.test_fraction > 0.0),
            ("--skip-broken", self.skip_broken),
        ];
        let given = given.into_iter().filter(|(_, is_given)| *is_given).map(|(flag, _)| flag);
        let flags: Vec<&str> = given.collect();
        if !flags.is_empty() {
            let flags = flags.join(", ");
            tracing::warn!(flags, "NOT USED: these are for folders of images, and {name} is none");
        }
    }
}

/// Gets the samples of a run.
pub fn load(source: &DatasetSource, options: &LoadOptions) -> Result<Dataset, DatasetError> {
    if !matches!(source, DatasetSource::Folder(_)) {
        options.warn_of_unused(&source.name());
    }
    let reading = options.reading();
    let splits = match source {
        DatasetSource::Auto => return auto(options),
        DatasetSource::Synthetic => return Ok(draw(options)),
        DatasetSource::Published(published) => {
            let folder = provide(published, options, Patience::FULL)?;
            read_published(published, &folder, options)?
        }
        DatasetSource::Cifar(variant) => read_cifar(*variant, options)?,
        DatasetSource::Emnist(division, Some(path)) => {
            let place = emnist::place(path, Some(*division))?;
            let mut place = place.map_or_else(|| absent(path, *division), Ok)?;
            emnist::read(&mut place, *division, &reading)?
        }
        DatasetSource::Emnist(division, None) => read_published_emnist(*division, options)?,
        DatasetSource::Folder(path) => return kind::load(source.name(), path, options),
        DatasetSource::Files { train, test } => {
            let read = |[images, labels]: &[PathBuf; 2]| read_pair(images, labels, &reading);
            let test = test.as_ref().filter(|_| reading.test);
            Splits {
                train: read(train)?,
                test: test.map(read).transpose()?,
                names: ClassNames::Numbered,
            }
        }
    };
    assemble(source.name(), splits, options)
}

/// MNIST, or the synthetic digits if MNIST cannot be had; a file that is there but damaged is an error all the same.
fn auto(options: &LoadOptions) -> Result<Dataset, DatasetError> {
    match provide(&MNIST, options, Patience::BRIEF) {
        Ok(folder) => {
            let splits = read_published(&MNIST, &folder, options)?;
            assemble(MNIST.name.to_owned(), splits, options)
        }
        Err(reason) => {
            tracing::warn!(%reason, "no MNIST to be had: TRAINING ON SYNTHETIC DIGITS, results are not those of MNIST");
            Ok(draw(options))
        }
    }
}

fn draw(options: &LoadOptions) -> Dataset {
    let count = |split: Split, wanted: Option<usize>| {
        wanted.unwrap_or(usize::MAX).min(split.default_count())
    };
    let of = |split, wanted| synthetic::draw(options.synthetic_seed, split, count(split, wanted));
    Dataset {
        name: DatasetSource::Synthetic.name(),
        shape: DataShape::MNIST,
        class_names: numbered(DataShape::MNIST.classes),
        train: of(Split::Train, options.train_samples),
        test: of(Split::Test, options.test_samples),
        synthetic: true,
    }
}

fn read_cifar(variant: cifar::Variant, options: &LoadOptions) -> Result<Splits, DatasetError> {
    let folder = options.data_dir.join(variant.name());
    let set = published::cifar(variant);
    let is_right = |found: &cifar::Found| found.variant() == variant;
    let found = match cifar::find(&folder)?.filter(is_right) {
        Some(found) => found,
        None => cifar::Found::Archive(variant, provide_archive(set, &folder, options)?),
    };
    let splits = cifar::read(&found, &options.reading())?;
    if let cifar::Found::Archive(_, path) = &found {
        compare_archive(set, path, variant.name());
    }
    Ok(splits)
}

fn read_published_emnist(
    division: Division,
    options: &LoadOptions,
) -> Result<Splits, DatasetError> {
    let folder = options.data_dir.join("emnist");
    let mut place = match emnist::place(&folder, Some(division))? {
        Some(place) => place,
        None => {
            let path = provide_archive(&EMNIST, &folder, options)?;
            let place = emnist::place(&path, Some(division))?;
            place.map_or_else(|| absent(&path, division), Ok)?
        }
    };
    let splits = emnist::read(&mut place, division, &options.reading())?;
    if let Place::Archive(archive) = &place {
        compare_archive(&EMNIST, archive.path(), division.name());
    }
    Ok(splits)
}

/// What to say where a division is not in a place.
fn absent(path: &Path, wanted: Division) -> Result<Place, DatasetError> {
    if !path.exists() {
        return Err(DatasetError::NotThere(path.to_owned()));
    }
    let found = emnist::place(path, None)?.map(|place| emnist::divisions(&place));
    let found = found.unwrap_or_default();
    Err(DatasetError::NoDivision { place: path.to_owned(), wanted, found })
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
