//! Zip archives: EMNIST as it is published, and NumPy's `.npz`.
//!
//! `place` and `numpy` read members through it. Nothing is unpacked to disk, so a member's path leads nowhere. A member
//! gives at most as many bytes as it claims, and claims at most as many as are wanted.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};

use super::content::Content;
use super::problem::{FileError, Problem};

/// What a zip archive starts with.
const MAGICS: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

/// An open archive.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    zip: ZipArchive<BufReader<File>>,
}

/// Whether a file starts like a zip archive.
pub fn is_zip(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(4).read_to_end(&mut start));
    read.is_ok() && MAGICS.contains(&&start[..])
}

impl Archive {
    /// Opens an archive.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let file = File::open(path).map_err(|error| Problem::Unreadable(error).of(path))?;
        // Looking for a start further in would find that of an archive among the members.
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let zip = ZipArchive::with_config(config, BufReader::new(file))
            .map_err(|error| Problem::Zip(error.to_string()).of(path))?;
        Ok(Self { path: path.to_owned(), zip })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its members' names, folders included, in the order of the archive.
    pub fn names(&self) -> Vec<String> {
        let names = self.zip.file_names();
        names.filter_map(|name| Some(name.ok()?.into_owned())).collect()
    }

    /// Reads a member, of at most `limit` bytes when it is unpacked.
    pub fn read<T>(
        &mut self,
        name: &str,
        limit: u64,
        read: impl FnOnce(&mut Content<'_>) -> Result<T, Problem>,
    ) -> Result<T, FileError> {
        let unpack = || {
            let member =
                self.zip.by_name(name).map_err(|error| Problem::Method(error.to_string()))?;
            if member.size() > limit {
                return Err(Problem::TooLarge { limit });
            }
            let claimed = Claimed { left: member.size(), member };
            read(&mut Content::unpacked(claimed, "zip")?)
        };
        unpack().map_err(|problem| problem.of_member(&self.path, name))
    }
}

/// A member that may not yield more than it claims.
struct Claimed<R> {
    member: R,
    left: u64,
}

impl<R: Read> Read for Claimed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.member.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other("it yields more bytes than it claims to have"))?;
        Ok(count)
    }
}
