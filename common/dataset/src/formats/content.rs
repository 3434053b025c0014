//! A file, or a member of an archive, as a stream of bytes, unpacked on the way; what it is packed with shows in its
//! first bytes, never in its name.
//!
//! All formats read through it; `known` compares what it gives with what was published.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;

use super::gzip::Gunzip;
use super::problem::{FileError, Problem};

/// What to read from.
pub struct Content<'a> {
    reader: Box<dyn Read + 'a>,
    /// What has to be unpacked, for messages.
    packing: Option<&'static str>,
}

impl Content<'static> {
    /// Of a file.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::start(File::open(path)?, None)
    }

    /// Of a file, with words for the user.
    pub fn of_file(path: &Path) -> Result<Self, FileError> {
        if path.is_dir() {
            return Err(Problem::Folder.of(path));
        }
        Self::open(path).map_err(|error| Problem::Unreadable(error).of(path))
    }
}

impl<'a> Content<'a> {
    /// Of a stream.
    pub fn of(reader: impl Read + 'a) -> Result<Self, Problem> {
        Self::start(reader, None).map_err(Problem::Unreadable)
    }

    /// Of a stream that something else unpacks.
    pub fn unpacked(reader: impl Read + 'a, packing: &'static str) -> Result<Self, Problem> {
        let damaged = |error| Problem::Compression { packing, error };
        Self::start(reader, Some(packing)).map_err(damaged)
    }

    fn start(reader: impl Read + 'a, packing: Option<&'static str>) -> io::Result<Self> {
        let mut content = Self { reader: Box::new(reader), packing };
        if content.look(2)? == [0x1f, 0x8b] {
            let packed = std::mem::replace(&mut content.reader, Box::new(io::empty()));
            content.reader = Box::new(Gunzip::new(BufReader::with_capacity(1 << 16, packed)));
            content.packing = Some("gzip");
        }
        Ok(content)
    }

    /// Whether it has to be unpacked.
    pub fn is_packed(&self) -> bool {
        self.packing.is_some()
    }

    /// The next `count` bytes, fewer at the end; they stay to be read.
    fn look(&mut self, count: u64) -> io::Result<Vec<u8>> {
        let mut start = Vec::new();
        self.reader.by_ref().take(count).read_to_end(&mut start)?;
        let rest = std::mem::replace(&mut self.reader, Box::new(io::empty()));
        self.reader = Box::new(Cursor::new(start.clone()).chain(rest));
        Ok(start)
    }

    /// The next `count` bytes, fewer at the end; they stay to be read.
    pub fn peek(&mut self, count: u64) -> Result<Vec<u8>, Problem> {
        self.look(count).map_err(|error| self.broken(error))
    }

    /// At most `limit` bytes; memory grows with what is there.
    pub fn up_to(&mut self, limit: u64) -> Result<Vec<u8>, Problem> {
        let mut bytes = Vec::new();
        match self.reader.by_ref().take(limit).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(self.broken(error)),
        }
    }

    /// All bytes, of which there may be `limit`.
    pub fn all(&mut self, limit: u64) -> Result<Vec<u8>, Problem> {
        let bytes = self.up_to(limit.saturating_add(1))?;
        if bytes.len() as u64 > limit { Err(Problem::TooLarge { limit }) } else { Ok(bytes) }
    }

    fn broken(&self, error: io::Error) -> Problem {
        match self.packing {
            Some(packing) => Problem::Compression { packing, error },
            None => Problem::Unreadable(error),
        }
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}
