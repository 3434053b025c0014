//! Where decoded images are kept, so that they are decoded once.
//!
//! Called by [`super::load`] and [`super::make`]. A file appears under its name when it is whole; what is in the way of a new
//! one, and was written here, is removed. Several programs may do so at once: who has opened a file keeps it.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use common::hexadecimal;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::ImageOptions;
use super::header::Header;

/// The folder of them in a data set's own.
pub(super) const OWN: &str = ".concentric-cache";
/// The folder of them in the folder of all data.
const SHARED: &str = "image-cache";
const PREFIX: &str = "images-";
const SUFFIX: &str = ".cache";
const PARTIAL: &str = ".part";
/// A partial file that nobody has written to for so long was left by a program that was killed.
const ABANDONED: Duration = Duration::from_secs(3600);

/// A folder for what is decoded of one data set.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Where files may be, the first place the first to be tried.
    pub fn all(data: &Path, options: &ImageOptions) -> Vec<Self> {
        let of = |folder: PathBuf| Self(folder.join(name(data)));
        match &options.cache {
            Some(folder) => vec![of(folder.clone())],
            None => vec![Self(data.join(OWN)), of(options.data_dir.join(SHARED))],
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether files can be made there; the folder is, if it was not there.
    pub fn is_writable(&self) -> bool {
        match self.partial() {
            Ok(_) => true,
            Err(why) => {
                tracing::info!(folder = %self.0.display(), %why, "decoded images cannot be kept here");
                false
            }
        }
    }

    /// The file of this key, if there is one and it is whole.
    pub fn find(&self, key: &str) -> Option<(Header, File)> {
        let path = self.file(key);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(why) => {
                tracing::warn!(path = %path.display(), %why, "decoded images cannot be read: decoding anew");
                return None;
            }
        };
        let is_this = |header: Header| {
            if header.key == key {
                Ok(header)
            } else {
                Err("it was made of other images".to_owned())
            }
        };
        match Header::read(&file).and_then(is_this) {
            Ok(header) => Some((header, file)),
            Err(why) => {
                tracing::warn!(path = %path.display(), why, "decoded images are damaged: decoding anew");
                None
            }
        }
    }

    /// A new file, which goes away unless it is kept.
    pub fn partial(&self) -> io::Result<NamedTempFile> {
        fs::create_dir_all(&self.0)?;
        tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(PARTIAL)
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(&self.0)
    }

    /// Gives a file that is whole its name, and removes the others.
    pub fn keep(&self, partial: NamedTempFile, key: &str) -> io::Result<File> {
        partial.as_file().sync_data()?;
        let path = self.file(key);
        let file = partial.persist(&path).map_err(|error| error.error)?;
        if let Err(why) = self.remove_others(&path) {
            tracing::warn!(folder = %self.0.display(), %why, "images decoded earlier cannot be removed");
        }
        Ok(file)
    }

    fn file(&self, key: &str) -> PathBuf {
        self.0.join(format!("{PREFIX}{key}{SUFFIX}"))
    }

    fn remove_others(&self, kept: &Path) -> io::Result<()> {
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            if entry.path() == kept {
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_partial = || is_ours(&name, PARTIAL, 6) && is_abandoned(&entry);
            if is_ours(&name, SUFFIX, 64) || is_partial() {
                match fs::remove_file(entry.path()) {
                    // Another program may have been quicker.
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {
                        tracing::info!(path = %entry.path().display(), "removed, as it is of no use any more")
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether files of that ending are called so: with as many letters and digits in the middle.
fn is_ours(name: &str, suffix: &str, letters: usize) -> bool {
    let middle = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(suffix));
    middle.is_some_and(|it| it.len() == letters && it.bytes().all(|it| it.is_ascii_alphanumeric()))
}

fn is_abandoned(entry: &fs::DirEntry) -> bool {
    let changed = entry.metadata().and_then(|metadata| metadata.modified());
    changed.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > ABANDONED))
}

/// A name for the data set of a folder among those of others.
fn name(data: &Path) -> String {
    let whole = fs::canonicalize(data).unwrap_or_else(|_| data.to_owned());
    hexadecimal(&Sha256::digest(whole.as_os_str().as_bytes())[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_our_own_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder(root.path().join("a/b"));
        let key = |digit: &str| digit.repeat(64);
        let others = ["images-.cache", "images-mine.cache", "photo.png", "images-abcdef.part"];
        folder.keep(folder.partial().unwrap(), &key("1")).unwrap();
        for other in others {
            fs::write(folder.path().join(other), "").unwrap();
        }
        let abandoned = folder.path().join("images-uvwxyz.part");
        let hours_ago = SystemTime::now() - Duration::from_secs(7200);
        File::create(&abandoned).unwrap().set_modified(hours_ago).unwrap();
        folder.keep(folder.partial().unwrap(), &key("2")).unwrap();
        let mut left: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let mut expected = others.map(str::to_owned).to_vec();
        expected.push(format!("images-{}.cache", key("2")));
        expected.sort();
        assert_eq!(left, expected);
    }
}
