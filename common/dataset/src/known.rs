//! What lies under a known name, compared with what was published.
//!
//! [`super::load()`] asks once it has read a published data set: a result is not to be called MNIST's that comes from
//! another one. [`super::download`] asks before it keeps a file.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use md5::Md5;
use sha2::{Digest, Sha256};

use super::formats::content::Content;
use super::published::{Checksum, FOUR_FILES, Part, Published};
use common::hexadecimal;

/// Upper bound of one of four files, compressed or not, in bytes: twice the training images.
pub const LARGEST: u64 = 100_000_000;

/// A file of a published data set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PublishedFile {
    /// Of which set.
    pub set: &'static Published,
    /// Which of its files.
    pub part: Part,
}

/// What a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Identity {
    /// A published file.
    Published(PublishedFile),
    /// Another content than was published.
    Unknown,
    /// Not compared: of this set only the compressed files' checksums were published, and this one is not compressed.
    NotComparable,
}

impl PublishedFile {
    fn checksum(self) -> Checksum {
        self.set.checksum(self.part)
    }
}

impl fmt::Display for PublishedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.set.file_name(self.part), self.set.name)
    }
}

/// What the file is that lies in the place of `expected`.
///
/// # Errors
/// It cannot be read or uncompressed.
pub fn identify(path: &Path, expected: PublishedFile) -> io::Result<Identity> {
    // Mostly it is what it should be, so that one pass over it is enough.
    if expected.checksum().digits() == digest(path, expected.checksum())? {
        return Ok(Identity::Published(expected));
    }
    let content = content_digest(path)?;
    let archive = archive_digest(path)?;
    let is = |file: &PublishedFile| match file.checksum() {
        Checksum::ContentSha256(digits) => digits == content,
        Checksum::ArchiveMd5(digits) => digits == archive,
    };
    let all =
        FOUR_FILES.into_iter().flat_map(|set| Part::ALL.map(|part| PublishedFile { set, part }));
    if let Some(file) = all.into_iter().find(is) {
        return Ok(Identity::Published(file));
    }
    match expected.checksum() {
        Checksum::ArchiveMd5(_) if !Content::open(path)?.is_packed() => Ok(Identity::NotComparable),
        _ => Ok(Identity::Unknown),
    }
}

/// The digest of a file that is compared with `checksum`, in hexadecimal digits.
///
/// # Errors
/// The file cannot be read or uncompressed.
pub fn digest(path: &Path, checksum: Checksum) -> io::Result<String> {
    match checksum {
        Checksum::ContentSha256(_) => content_digest(path),
        Checksum::ArchiveMd5(_) => archive_digest(path),
    }
}

fn content_digest(path: &Path) -> io::Result<String> {
    // Little that is compressed may be endless when it is not.
    digest_of::<Sha256>(Content::open(path)?.take(LARGEST))
}

fn archive_digest(path: &Path) -> io::Result<String> {
    digest_of::<Md5>(File::open(path)?)
}

fn digest_of<D: Digest>(mut reader: impl Read) -> io::Result<String> {
    let mut digest = D::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            count => digest.update(&buffer[..count]),
        }
    }
    Ok(hexadecimal(&digest.finalize()))
}
