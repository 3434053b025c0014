//! IDX files, plain or gzip-compressed (told apart by content), read strictly.
//!
//! Called by [`super::load()`]; [`super::download`] uses [`open`] to check what it fetched. The format: two zero bytes,
//! the element type (8: unsigned byte), the number of dimensions, each dimension as a big-endian 32-bit integer, the
//! elements row-major. Nothing in a header is believed before the bytes are there.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use thiserror::Error;

use crate::architecture::{CLASSES, IMAGE_PIXELS, IMAGE_SIDE};

/// What an IDX file of bytes can be here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `[n, 28, 28]`.
    Images,
    /// `[n]`.
    Labels,
}

impl Kind {
    fn dimensions(self) -> usize {
        match self {
            Kind::Images => 3,
            Kind::Labels => 1,
        }
    }

    fn magic(self) -> [u8; 4] {
        [0, 0, 8, self.dimensions() as u8]
    }

    fn plural(self) -> &'static str {
        match self {
            Kind::Images => "images",
            Kind::Labels => "labels",
        }
    }
}

/// A file that cannot be used.
#[derive(Debug, Error)]
#[error("{}: {problem}", path.display())]
pub struct IdxError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub problem: IdxProblem,
}

/// What is wrong with a file, and what to do.
#[derive(Debug, Error)]
pub enum IdxProblem {
    /// Opening or reading failed.
    #[error("cannot be read: {0}; check the path and its permissions")]
    Unreadable(#[source] io::Error),
    /// Starts like a gzip file, but is none.
    #[error("its gzip stream is damaged or cut off ({0}); delete it and fetch it again")]
    Compression(#[source] io::Error),
    /// Images where labels are expected, or the other way round.
    #[error("holds {} where {} are expected; exchange the two paths", found.plural(), expected.plural())]
    Exchanged {
        /// What should be there.
        expected: Kind,
        /// What is there.
        found: Kind,
    },
    /// Another format.
    #[error(
        "is no IDX file of {}: starts with the bytes {found:02x?} instead of {:02x?}; choose another file",
        expected.plural(), expected.magic()
    )]
    Foreign {
        /// What should be there.
        expected: Kind,
        /// Its first bytes.
        found: [u8; 4],
    },
    /// Images of another size.
    #[error(
        "holds images of {rows}×{columns} pixels; only {IMAGE_SIDE}×{IMAGE_SIDE} can be used, resize them"
    )]
    ImageSize {
        /// Their height.
        rows: u32,
        /// Their width.
        columns: u32,
    },
    /// Fewer bytes than the header promises.
    #[error("is cut off: {expected} bytes expected, {found} found; delete it and fetch it again")]
    Truncated {
        /// Length of the uncompressed file by its header.
        expected: u64,
        /// Its length.
        found: u64,
    },
    /// More bytes than the header promises.
    #[error(
        "goes on after the {expected} bytes that its header promises; delete it and fetch it again"
    )]
    Trailing {
        /// Length of the uncompressed file by its header.
        expected: u64,
    },
    /// A header without samples.
    #[error("holds no {}; choose another file", .0.plural())]
    Empty(Kind),
    /// A class that the network does not have.
    #[error(
        "label {index} (counted from 0) is {label}; labels must be below {CLASSES}, choose another file"
    )]
    Label {
        /// Where the first such label is.
        index: usize,
        /// What it is.
        label: u8,
    },
}

/// Reads a file of images: pixels `[n, 28, 28]`, row-major.
pub fn read_images(path: &Path) -> Result<Vec<u8>, IdxError> {
    read(path, Kind::Images).map_err(|problem| IdxError { path: path.to_owned(), problem })
}

/// Reads a file of labels `[n]`, each below 10.
pub fn read_labels(path: &Path) -> Result<Vec<u8>, IdxError> {
    read(path, Kind::Labels)
        .and_then(check_labels)
        .map_err(|problem| IdxError { path: path.to_owned(), problem })
}

fn check_labels(labels: Vec<u8>) -> Result<Vec<u8>, IdxProblem> {
    match labels.iter().position(|&label| usize::from(label) >= CLASSES) {
        Some(index) => Err(IdxProblem::Label { index, label: labels[index] }),
        None => Ok(labels),
    }
}

/// An open file, decompressed on the way if need be.
pub struct Content {
    reader: Box<dyn Read>,
    compressed: bool,
}

/// Opens a file; whether it is compressed is seen from its first bytes.
pub fn open(path: &Path) -> io::Result<Content> {
    let mut file = File::open(path)?;
    let mut start = Vec::new();
    file.by_ref().take(2).read_to_end(&mut start)?;
    file.rewind()?;
    let compressed = start == [0x1f, 0x8b];
    let reader: Box<dyn Read> =
        if compressed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    Ok(Content { reader, compressed })
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl Content {
    /// At most `limit` bytes; memory grows with what is there, not with what a header claims.
    fn up_to(&mut self, limit: u64) -> Result<Vec<u8>, IdxProblem> {
        let mut bytes = Vec::new();
        match self.reader.by_ref().take(limit).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) if self.compressed => Err(IdxProblem::Compression(error)),
            Err(error) => Err(IdxProblem::Unreadable(error)),
        }
    }
}

fn read(path: &Path, kind: Kind) -> Result<Vec<u8>, IdxProblem> {
    let mut content = open(path).map_err(IdxProblem::Unreadable)?;
    let header_length = 4 + 4 * kind.dimensions() as u64;
    let header = content.up_to(header_length)?;
    let data_length = check_header(&header, kind)?;
    let data = content.up_to(data_length + 1)?;
    let (expected, found) = (header_length + data_length, header_length + data.len() as u64);
    match found.cmp(&expected) {
        std::cmp::Ordering::Less => Err(IdxProblem::Truncated { expected, found }),
        std::cmp::Ordering::Equal => Ok(data),
        std::cmp::Ordering::Greater => Err(IdxProblem::Trailing { expected }),
    }
}

/// How many bytes must follow this header.
fn check_header(header: &[u8], kind: Kind) -> Result<u64, IdxProblem> {
    let expected = 4 + 4 * kind.dimensions() as u64;
    let cut_off = IdxProblem::Truncated { expected, found: header.len() as u64 };
    let Some((magic, sizes)) = header.split_first_chunk::<4>() else {
        return Err(cut_off);
    };
    check_magic(*magic, kind)?;
    let (sizes, rest) = sizes.as_chunks::<4>();
    let sizes: Vec<u32> = sizes.iter().map(|&bytes| u32::from_be_bytes(bytes)).collect();
    match sizes[..] {
        _ if sizes.len() != kind.dimensions() || !rest.is_empty() => Err(cut_off),
        [_, rows, columns] if [rows, columns] != [IMAGE_SIDE as u32; 2] => {
            Err(IdxProblem::ImageSize { rows, columns })
        }
        [0, ..] => Err(IdxProblem::Empty(kind)),
        // At most (2³² − 1) · 784: no overflow.
        _ => Ok(sizes.iter().map(|&size| u64::from(size)).product()),
    }
}

fn check_magic(found: [u8; 4], expected: Kind) -> Result<(), IdxProblem> {
    let other = if expected == Kind::Images { Kind::Labels } else { Kind::Images };
    if found == expected.magic() {
        Ok(())
    } else if found == other.magic() {
        Err(IdxProblem::Exchanged { expected, found: other })
    } else {
        Err(IdxProblem::Foreign { expected, found })
    }
}

/// The IDX file, uncompressed, of images `[n, 28, 28]`; what tests write.
pub fn encode_images(pixels: &[u8]) -> Vec<u8> {
    let count = (pixels.len() / IMAGE_PIXELS) as u32;
    encode(Kind::Images, &[count, IMAGE_SIDE as u32, IMAGE_SIDE as u32], pixels)
}

/// The IDX file, uncompressed, of labels `[n]`; what tests write.
pub fn encode_labels(labels: &[u8]) -> Vec<u8> {
    encode(Kind::Labels, &[labels.len() as u32], labels)
}

fn encode(kind: Kind, sizes: &[u32], data: &[u8]) -> Vec<u8> {
    let mut file = kind.magic().to_vec();
    file.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    file.extend(data);
    file
}

#[cfg(test)]
#[path = "idx_tests.rs"]
mod tests;
