//! What lies under a known name, compared with what was published.
//!
//! [`super::load()`] asks before it reads a file of a published data set that was here already: a result is not to be
//! called MNIST's that comes from another one.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use md5::Md5;
use sha2::{Digest, Sha256};

use super::idx;
use super::published::{Checksum, FASHION_MNIST, KMNIST, MNIST, Part, Published};
use crate::hexadecimal;

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

impl fmt::Display for PublishedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.part.file_name(), self.set.name)
    }
}

/// What the file is that lies in the place of `expected`.
///
/// # Errors
/// It cannot be read or uncompressed.
pub fn identify(path: &Path, expected: PublishedFile) -> io::Result<Identity> {
    let content = digest::<Sha256>(idx::open(path))?;
    let archive = digest::<Md5>(std::fs::File::open(path))?;
    let parts = [Part::TrainImages, Part::TrainLabels, Part::TestImages, Part::TestLabels];
    let is = |file: &PublishedFile| match file.set.checksum(file.part) {
        Checksum::ContentSha256(digits) => digits == content,
        Checksum::ArchiveMd5(digits) => digits == archive,
    };
    let all = [&MNIST, &FASHION_MNIST, &KMNIST]
        .into_iter()
        .flat_map(|set| parts.map(|part| PublishedFile { set, part }));
    if let Some(file) = all.into_iter().find(is) {
        return Ok(Identity::Published(file));
    }
    match expected.set.checksum(expected.part) {
        Checksum::ArchiveMd5(_) if !idx::open(path)?.is_compressed() => Ok(Identity::NotComparable),
        _ => Ok(Identity::Unknown),
    }
}

/// The digest of all bytes, in hexadecimal digits.
///
/// # Errors
/// They cannot be read.
pub fn digest<D: Digest>(reader: io::Result<impl Read>) -> io::Result<String> {
    let mut reader = reader?;
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
