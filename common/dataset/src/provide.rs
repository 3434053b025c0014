//! Published data sets: found in their folder, downloaded where they are missing, compared with what was published.
//!
//! Called by [`super::load()`] for the sets that it knows by name.

use std::path::{Path, PathBuf};

use super::download::{self, DownloadError, Patience, Request};
use super::error::DatasetError;
use super::formats::four_files::{self, find};
use super::formats::{ClassNames, Splits};
use super::known::{self, Identity, LARGEST, PublishedFile};
use super::load::LoadOptions;
use super::published::{Published, PublishedArchive};

/// The folder of a published data set, its missing files downloaded.
pub fn provide(
    published: &'static Published,
    options: &LoadOptions,
    patience: Patience,
) -> Result<PathBuf, DownloadError> {
    if let (Some(folder), "mnist") = (&options.mnist_dir, published.name) {
        return Ok(folder.clone());
    }
    let folder = options.data_dir.join(published.name);
    let mirrors = mirrors(published.mirrors, options);
    for &part in options.parts() {
        let name = published.file_name(part);
        if find(&folder, name).is_none() {
            download::download(&Request {
                mirrors: &mirrors,
                file: &format!("{name}.gz"),
                checksum: published.checksum(part),
                largest: LARGEST,
                folder: &folder,
                patience,
            })?;
        }
    }
    Ok(folder)
}

fn mirrors(published: &[&str], options: &LoadOptions) -> Vec<String> {
    let published = || published.iter().map(|&mirror| mirror.to_owned()).collect();
    options.mirrors.clone().unwrap_or_else(published)
}

/// Downloads the archive of a published data set.
pub fn provide_archive(
    set: &PublishedArchive,
    folder: &Path,
    options: &LoadOptions,
) -> Result<PathBuf, DownloadError> {
    download::download(&Request {
        mirrors: &mirrors(set.mirrors, options),
        file: set.file,
        checksum: set.checksum,
        largest: set.largest,
        folder,
        patience: Patience::LONG,
    })
}

/// Reads the files of a published data set. One that belongs to another set is refused; one that was never published
/// is used, and said.
pub fn read_published(
    set: &'static Published,
    folder: &Path,
    options: &LoadOptions,
) -> Result<Splits, DatasetError> {
    // What is wrong with a file as such is said first.
    let names = set.class_names.map(str::to_owned).to_vec();
    let splits = four_files::read(folder, set.files, &options.reading(), ClassNames::Fixed(names))?;
    for &part in options.parts() {
        let Some(path) = find(folder, set.file_name(part)) else { continue };
        let expected = PublishedFile { set, part };
        match known::identify(&path, expected) {
            Ok(Identity::Published(found)) if found == expected => {}
            Ok(Identity::Published(found)) => {
                return Err(DatasetError::Another { path, found, expected });
            }
            Ok(Identity::NotComparable) => {}
            Ok(Identity::Unknown) => warn_of_another(&path, &expected.to_string(), set.name),
            Err(why) => tracing::warn!(path = %path.display(), %why, "cannot be compared"),
        }
    }
    Ok(splits)
}

/// Says so where an archive under a known name is not the published one.
pub fn compare_archive(set: &PublishedArchive, path: &Path, name: &str) {
    match known::digest(path, set.checksum) {
        Ok(found) if found == set.checksum.digits() => {}
        Ok(_) => warn_of_another(path, set.file, name),
        Err(why) => tracing::warn!(path = %path.display(), %why, "cannot be compared"),
    }
}

fn warn_of_another(path: &Path, expected: &str, name: &str) {
    tracing::warn!(
        path = %path.display(),
        "this file is not {expected} as published (its checksum is another): RESULTS ARE NOT THOSE OF {}",
        name.to_uppercase()
    );
}
