//! IDX files, plain or gzip-compressed (told apart by content), read strictly.
//!
//! Called by [`super::load()`]; [`super::download`] uses [`open`] to check what it fetched. The format: two zero bytes,
//! the element type (8: unsigned byte), the number of dimensions, each dimension as a big-endian 32-bit integer, the
//! elements row-major. Nothing in a header is believed before the bytes are there.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use super::gzip::Gunzip;
pub use super::idx_problem::{IdxError, IdxProblem};
use common::data_shape::DataShape;
use common::foreign;

/// The element type of all files that can be used.
const UNSIGNED_BYTES: u8 = 8;

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

    pub(super) fn magic(self) -> [u8; 4] {
        [0, 0, UNSIGNED_BYTES, self.dimensions() as u8]
    }

    fn of(magic: [u8; 4]) -> Option<Kind> {
        [Kind::Images, Kind::Labels].into_iter().find(|kind| kind.magic() == magic)
    }

    /// What a message calls them.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Kind::Images => "images",
            Kind::Labels => "labels",
        }
    }
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
    let Some(index) =
        labels.iter().position(|&label| usize::from(label) >= DataShape::MNIST.classes)
    else {
        return Ok(labels);
    };
    let mut classes = labels.clone();
    classes.sort_unstable();
    classes.dedup();
    let (first, last) = (classes[0], classes[classes.len() - 1]);
    Err(IdxProblem::Label { index, label: labels[index], first, last, classes: classes.len() })
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
        if compressed { Box::new(Gunzip::new(BufReader::new(file))) } else { Box::new(file) };
    Ok(Content { reader, compressed })
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl Content {
    /// Whether the file is compressed.
    pub fn is_compressed(&self) -> bool {
        self.compressed
    }

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
    if path.is_dir() {
        return Err(IdxProblem::Folder);
    }
    let mut content = open(path).map_err(IdxProblem::Unreadable)?;
    let header_length = 4 + 4 * kind.dimensions() as u64;
    let mut header = content.up_to(header_length)?;
    let data_length = match check_header(&header, kind) {
        // What else it is may show only further on.
        Err(IdxProblem::Foreign { .. } | IdxProblem::Truncated { .. }) => {
            header.extend(content.up_to(foreign::START as u64)?);
            return Err(match foreign::recognise(&header) {
                Some(known) => IdxProblem::Known(known),
                None => problem_of(&header, kind),
            });
        }
        outcome => outcome?,
    };
    let data = content.up_to(data_length + 1)?;
    let (expected, found) = (header_length + data_length, header_length + data.len() as u64);
    match found.cmp(&expected) {
        Ordering::Equal => Ok(data),
        Ordering::Less if swapped_length(&header) == Some(data.len() as u64) => {
            Err(IdxProblem::LittleEndian)
        }
        Ordering::Less => Err(IdxProblem::Truncated { expected, found }),
        Ordering::Greater => Err(IdxProblem::Trailing { expected }),
    }
}

/// What is wrong with a file of which more than the header of `kind` may have been read.
fn problem_of(start: &[u8], kind: Kind) -> IdxProblem {
    let header = &start[..start.len().min(4 + 4 * kind.dimensions())];
    match (start, check_header(header, kind)) {
        ([0, 0, element, dimensions, sizes @ ..], Err(IdxProblem::Foreign { .. }))
            if *dimensions > 0 =>
        {
            let sizes = sizes.as_chunks::<4>().0.iter().take(usize::from(*dimensions));
            let sizes = sizes.map(|&size| u32::from_be_bytes(size)).collect();
            IdxProblem::OtherIdx { expected: kind, element: *element, sizes }
        }
        (_, Err(problem)) => problem,
        (_, Ok(_)) => unreachable!("the header was refused before"),
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
        [_, rows, columns]
            if [rows, columns].map(u32::swap_bytes) == [DataShape::MNIST.height as u32; 2] =>
        {
            Err(IdxProblem::LittleEndian)
        }
        [_, rows, columns] if [rows, columns] != [DataShape::MNIST.height as u32; 2] => {
            Err(IdxProblem::ImageSize { rows, columns })
        }
        [0, ..] => Err(IdxProblem::Empty(kind)),
        // At most (2³² − 1) · 784: no overflow.
        _ => Ok(sizes.iter().map(|&size| u64::from(size)).product()),
    }
}

fn check_magic(found: [u8; 4], expected: Kind) -> Result<(), IdxProblem> {
    let mut reversed = found;
    reversed.reverse();
    match Kind::of(found) {
        Some(kind) if kind == expected => Ok(()),
        Some(found) => Err(IdxProblem::Exchanged { expected, found }),
        None if Kind::of(reversed).is_some() => Err(IdxProblem::LittleEndian),
        None => Err(IdxProblem::Foreign { expected, found }),
    }
}

/// How many bytes would follow a header of labels if its size were little-endian.
fn swapped_length(header: &[u8]) -> Option<u64> {
    let size = header.get(4..)?.first_chunk::<4>().filter(|_| header.len() == 8)?;
    Some(u32::from_le_bytes(*size).into())
}

/// The IDX file, uncompressed, of images `[n, 28, 28]`; what tests write.
pub fn encode_images(pixels: &[u8]) -> Vec<u8> {
    let count = (pixels.len() / DataShape::MNIST.numbers()) as u32;
    encode(
        Kind::Images,
        &[count, DataShape::MNIST.height as u32, DataShape::MNIST.height as u32],
        pixels,
    )
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
