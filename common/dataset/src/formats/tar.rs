//! Tar archives, mostly compressed: CIFAR as it is published.
//!
//! Called by `cifar`. An archive is a stream, so its files are shown one after the other; nothing is unpacked to disk.

use std::path::Path;

use tar::Archive;

use super::content::Content;
use super::problem::{FileError, Problem};

/// Shows each file of a tar archive, by its name without folders, until one says that it is enough.
pub fn each_member(
    path: &Path,
    mut show: impl FnMut(&str, &mut Content<'_>) -> Result<bool, Problem>,
) -> Result<(), FileError> {
    let broken = |error| Problem::Compression { packing: "tar", error }.of(path);
    let mut archive = Archive::new(Content::of_file(path)?);
    // Raw: long names, which would be held in memory, stay members of their own, and no file of CIFAR has any.
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let entry = entry.map_err(broken)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let full = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = full.rsplit('/').next().unwrap_or_default().to_owned();
        let shown =
            Content::unpacked(entry, "tar").and_then(|mut content| show(&name, &mut content));
        if !shown.map_err(|problem| problem.of_member(path, &full))? {
            break;
        }
    }
    Ok(())
}
