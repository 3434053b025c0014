//! From what `--dataset` names to samples in memory.
//!
//! Called by the coordinator once per run. Looks for files, has them downloaded where they are missing, reads them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::download::{self, DownloadError, Patience, Request};
use super::error::DatasetError;
use super::idx::{read_images, read_labels};
use super::known::{self, Identity, PublishedFile};
use super::published::{MNIST, Part, Published};
use super::samples::{Dataset, Samples};
use super::source::DatasetSource;
use super::synthetic::{self, Split};
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
    fn parts(&self) -> &'static [Part] {
        if self.wants_test() { &Part::ALL } else { &Part::ALL[..2] }
    }
}

/// Gets the samples of a run.
pub fn load(source: &DatasetSource, options: &LoadOptions) -> Result<Dataset, DatasetError> {
    let dataset = match source {
        DatasetSource::Auto => return auto(options),
        DatasetSource::Synthetic => return Ok(draw(options)),
        DatasetSource::Published(published) => {
            let folder = provide(published, options, Patience::FULL)?;
            read_published(published, &folder, options)?
        }
        DatasetSource::Folder(folder) => read_folder(folder, options)?,
        DatasetSource::Files { train, test } => {
            let read = |[images, labels]: &[PathBuf; 2]| read_pair(images, labels);
            let test = test.as_ref().filter(|_| options.wants_test());
            (read(train)?, test.map(read).transpose()?.unwrap_or_default())
        }
    };
    Ok(first_of(source.name(), dataset, options))
}

/// MNIST, or the synthetic digits if MNIST cannot be had; a file that is there but damaged is an error all the same.
fn auto(options: &LoadOptions) -> Result<Dataset, DatasetError> {
    match provide(&MNIST, options, Patience::BRIEF) {
        Ok(folder) => {
            let samples = read_published(&MNIST, &folder, options)?;
            Ok(first_of(MNIST.name.to_owned(), samples, options))
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

fn first_of(
    name: String,
    (mut train, mut test): (Samples, Samples),
    options: &LoadOptions,
) -> Dataset {
    train.truncate(options.train_samples.unwrap_or(usize::MAX));
    test.truncate(options.test_samples.unwrap_or(usize::MAX));
    let shape = DataShape::MNIST;
    Dataset { name, shape, class_names: numbered(shape.classes), train, test, synthetic: false }
}

/// The names of classes that have none: their numbers.
fn numbered(classes: usize) -> Arc<[String]> {
    (0..classes).map(|class| class.to_string()).collect()
}

/// The folder of a published data set, its missing files downloaded.
fn provide(
    published: &'static Published,
    options: &LoadOptions,
    patience: Patience,
) -> Result<PathBuf, DownloadError> {
    if let (Some(folder), "mnist") = (&options.mnist_dir, published.name) {
        return Ok(folder.clone());
    }
    let folder = options.data_dir.join(published.name);
    let published_mirrors = || published.mirrors.iter().map(|&mirror| mirror.to_owned()).collect();
    let mirrors: Vec<String> = options.mirrors.clone().unwrap_or_else(published_mirrors);
    for &part in options.parts() {
        if find(&folder, part).is_none() {
            download::download(&Request {
                mirrors: &mirrors,
                file: &format!("{}.gz", part.file_name()),
                checksum: published.checksum(part),
                folder: &folder,
                patience,
            })?;
        }
    }
    Ok(folder)
}

/// Reads the files of a published data set. One that belongs to another set is refused; one that was never published
/// is used, and said.
fn read_published(
    set: &'static Published,
    folder: &Path,
    options: &LoadOptions,
) -> Result<(Samples, Samples), DatasetError> {
    // What is wrong with a file as such is said first.
    let samples = read_folder(folder, options)?;
    for &part in options.parts() {
        let Some(path) = find(folder, part) else { continue };
        let expected = PublishedFile { set, part };
        match known::identify(&path, expected) {
            Ok(Identity::Published(found)) if found == expected => {}
            Ok(Identity::Published(found)) => {
                return Err(DatasetError::Another { path, found, expected });
            }
            Ok(Identity::NotComparable) => {}
            Ok(Identity::Unknown) => tracing::warn!(
                path = %path.display(),
                "this file is not {expected} as published (its checksum is another): RESULTS ARE NOT THOSE OF {}",
                set.name.to_uppercase()
            ),
            Err(why) => tracing::warn!(path = %path.display(), %why, "cannot be compared"),
        }
    }
    Ok(samples)
}

/// Reads the training and test samples of a folder.
fn read_folder(folder: &Path, options: &LoadOptions) -> Result<(Samples, Samples), DatasetError> {
    let path = |&part: &Part| {
        let missing =
            || DatasetError::Missing { folder: folder.to_owned(), name: part.file_name() };
        find(folder, part).ok_or_else(missing)
    };
    // What is missing shows before anything large is read.
    let files: Vec<PathBuf> = options.parts().iter().map(path).collect::<Result<_, _>>()?;
    let mut pairs =
        files.as_chunks::<2>().0.iter().map(|[images, labels]| read_pair(images, labels));
    let mut next = || pairs.next().unwrap_or_else(|| Ok(Samples::default()));
    Ok((next()?, next()?))
}

/// Reads images and the labels that belong to them.
fn read_pair(images: &Path, labels: &Path) -> Result<Samples, DatasetError> {
    let (pixels, classes) = (read_images(images)?, read_labels(labels)?);
    let (image_count, label_count) = (pixels.len() / DataShape::MNIST.numbers(), classes.len());
    if image_count == label_count {
        return Ok(Samples::new(pixels, classes.into_iter().map(u16::from).collect()));
    }
    let (images, labels) = (images.to_owned(), labels.to_owned());
    Err(DatasetError::CountMismatch { images, image_count, labels, label_count })
}

/// The file of a part, plain or compressed, under its usual name or the one with a dot that some archives use.
fn find(folder: &Path, part: Part) -> Option<PathBuf> {
    let name = part.file_name();
    let dotted = name.replace("-idx", ".idx");
    [name.to_owned(), format!("{name}.gz"), dotted.clone(), format!("{dotted}.gz")]
        .into_iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
