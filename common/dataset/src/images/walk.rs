//! The images below a folder, in the order of torchvision's `ImageFolder`; what else lies there is counted and said.
//!
//! Called by [`super::layout`]. Looks into no file.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::cache::OWN;
use super::error::{ImagesError, few};

/// File name extensions of images.
const EXTENSIONS: [&str; 5] = ["png", "jpg", "jpeg", "webp", "bmp"];

/// An image's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// From the data set's folder.
    pub relative: PathBuf,
    /// Bytes, 0 where the file cannot be looked at.
    pub size: u64,
    /// Last change, nanoseconds since 1970.
    pub changed: i128,
    /// Its class.
    pub label: u16,
}

/// What was passed over, by kind.
#[derive(Debug, Default)]
pub(super) struct PassedOver([Tally; 4]);

/// Why something was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// A file or folder whose name begins with a dot.
    Hidden,
    /// A file of another extension, or what is no file.
    Foreign,
    /// An image that lies in no class's folder.
    Stray,
    /// A folder beside those that are read.
    Beside,
}

#[derive(Debug, Default)]
struct Tally {
    first: Vec<String>,
    count: usize,
}

impl PassedOver {
    /// Counts one more.
    pub fn add(&mut self, why: Why, relative: &Path) {
        let tally = &mut self.0[why as usize];
        tally.count += 1;
        if tally.first.len() < 3 {
            tally.first.push(relative.display().to_string());
        }
    }

    /// How many of a kind there were.
    #[cfg(test)]
    pub fn count(&self, why: Why) -> usize {
        self.0[why as usize].count
    }

    /// Says each kind once.
    pub fn log(&self, folder: &Path) {
        let kinds = [
            "hidden files and folders are passed over",
            "what is no image (.png, .jpg, .jpeg, .webp, .bmp) is passed over",
            "images that lie in no class's folder are passed over",
            "folders beside those of the data set are passed over",
        ];
        for (kind, Tally { first, count }) in kinds.into_iter().zip(&self.0) {
            if *count > 0 {
                tracing::warn!(folder = %folder.display(), count, names = few(first, *count), "{kind}");
            }
        }
    }
}

/// What lies in a folder.
pub(super) struct Entry {
    /// From the data set's folder.
    pub relative: PathBuf,
    /// Of what a symbolic link leads to; none where that cannot be found out.
    metadata: Option<Metadata>,
}

impl Entry {
    /// Its own name.
    pub fn name(&self) -> &OsStr {
        self.relative.file_name().unwrap_or_default()
    }

    /// Whether its name begins with a dot.
    pub fn is_hidden(&self) -> bool {
        self.name().as_bytes().starts_with(b".")
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.metadata.as_ref().is_some_and(Metadata::is_dir)
    }

    /// Whether it is a file, or a link that leads nowhere, with an image's extension.
    pub fn is_image(&self) -> bool {
        let extension = self.relative.extension().and_then(OsStr::to_str).unwrap_or_default();
        EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
            && self.metadata.as_ref().is_none_or(Metadata::is_file)
    }
}

/// A folder below another, or that one itself.
pub(super) fn below(root: &Path, relative: &Path) -> PathBuf {
    if relative.as_os_str().is_empty() { root.to_owned() } else { root.join(relative) }
}

/// What lies in the folder `relative` below `root`, in the order of names, but for the decoded images.
///
/// # Errors
/// It cannot be read.
pub(super) fn entries(root: &Path, relative: &Path) -> Result<Vec<Entry>, ImagesError> {
    let folder = below(root, relative);
    let unreadable = |source| ImagesError::Unreadable { folder: folder.clone(), source };
    let entry = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.map_err(unreadable)?;
        let relative = relative.join(entry.file_name());
        Ok(Entry { relative, metadata: fs::metadata(entry.path()).ok() })
    };
    let mut entries: Vec<Entry> =
        fs::read_dir(&folder).map_err(unreadable)?.map(entry).collect::<Result<_, _>>()?;
    entries.retain(|entry| entry.name() != OWN);
    entries.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(entries)
}

/// The images of one class, whose folder is `relative` below `root`: those of a folder before those of the next, folders in
/// the order of their paths, files in the order of their names, byte by byte.
///
/// # Errors
/// A folder cannot be read, or is below itself.
pub(super) fn images(
    root: &Path,
    relative: &Path,
    label: u16,
    passed: &mut PassedOver,
) -> Result<Vec<Source>, ImagesError> {
    let mut walk = Walk { root, label, passed, above: Vec::new(), found: Vec::new() };
    walk.folder(relative)?;
    let mut found = walk.found;
    let place = |source: &Source| {
        let parent = source.relative.parent().unwrap_or(Path::new(""));
        (parent.as_os_str().to_owned(), source.relative.file_name().map(OsStr::to_owned))
    };
    found.sort_by_cached_key(place);
    Ok(found)
}

struct Walk<'a> {
    root: &'a Path,
    label: u16,
    passed: &'a mut PassedOver,
    /// The folders that the walk is in: where each was come upon, its device and its number there.
    above: Vec<(PathBuf, [u64; 2])>,
    found: Vec<Source>,
}

impl Walk<'_> {
    fn folder(&mut self, relative: &Path) -> Result<(), ImagesError> {
        let folder = self.root.join(relative);
        let unreadable = |source| ImagesError::Unreadable { folder: folder.clone(), source };
        let metadata = fs::metadata(&folder).map_err(unreadable)?;
        let identity = [metadata.dev(), metadata.ino()];
        if let Some((same, _)) = self.above.iter().find(|(_, other)| *other == identity) {
            return Err(ImagesError::Circle { link: folder, folder: same.clone() });
        }
        self.above.push((folder, identity));
        for entry in entries(self.root, relative)? {
            if entry.is_hidden() {
                self.passed.add(Why::Hidden, &entry.relative);
            } else if entry.is_folder() {
                self.folder(&entry.relative)?;
            } else if entry.is_image() {
                self.found.push(self.source(entry));
            } else {
                self.passed.add(Why::Foreign, &entry.relative);
            }
        }
        self.above.pop();
        Ok(())
    }

    fn source(&self, Entry { relative, metadata }: Entry) -> Source {
        let changed =
            |it: &Metadata| i128::from(it.mtime()) * 1_000_000_000 + i128::from(it.mtime_nsec());
        Source {
            path: self.root.join(&relative),
            relative,
            size: metadata.as_ref().map_or(0, Metadata::len),
            changed: metadata.as_ref().map_or(0, changed),
            label: self.label,
        }
    }
}

/// Whether there is an image in the folder `relative` or below it; what cannot be read holds none.
pub(super) fn has_image(root: &Path, relative: &Path, depth: usize) -> bool {
    let entries = entries(root, relative).unwrap_or_default();
    let mut visible = entries.iter().filter(|entry| !entry.is_hidden());
    visible.clone().any(Entry::is_image)
        || depth > 0
            && visible.any(|entry| entry.is_folder() && has_image(root, &entry.relative, depth - 1))
}
