//! What is wrong with an IDX file, in words for the user.
//!
//! Raised by [`super::idx`] alone.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::idx::Kind;
use common::data_shape::DataShape;

const CLASSES: usize = DataShape::MNIST.classes;
const IMAGE_SIDE: usize = DataShape::MNIST.height;

/// A file that cannot be used.
#[derive(Debug, Error)]
#[error("{}: {problem}", path.display())]
pub struct IdxError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it. Said above, so no source of its own.
    pub problem: IdxProblem,
}

/// What is wrong with a file, and what to do.
#[derive(Debug, Error)]
pub enum IdxProblem {
    /// Opening or reading failed.
    #[error("cannot be read: {0}; check the path and its permissions")]
    Unreadable(io::Error),
    /// No file at all.
    #[error(
        "is a folder; name a file in it, or give the folder alone if it has the usual names in it"
    )]
    Folder,
    /// Starts like a gzip file, but is none.
    #[error("its gzip stream is damaged or cut off ({0}); delete it and fetch it again")]
    Compression(io::Error),
    /// Images where labels are expected, or the other way round.
    #[error("holds {} where {} are expected; exchange the two paths", found.plural(), expected.plural())]
    Exchanged {
        /// What should be there.
        expected: Kind,
        /// What is there.
        found: Kind,
    },
    /// A format that is known, with what to do.
    #[error("{0}")]
    Known(&'static str),
    /// IDX, but of another type or with other dimensions.
    #[error(
        "holds {} of {} dimensions {sizes:?}; {} are needed, so convert it",
        element_type(*element), sizes.len(), needed(*expected)
    )]
    OtherIdx {
        /// What should be there.
        expected: Kind,
        /// The element type's code.
        element: u8,
        /// Its dimensions, as far as they are there.
        sizes: Vec<u32>,
    },
    /// Numbers of the header the other way round.
    #[error(
        "its header is little-endian; in an IDX file the sizes are big-endian (in NumPy: dtype '>u4'), write it anew"
    )]
    LittleEndian,
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
        "label {index} (counted from 0) is {label}: the labels run from {first} to {last} ({classes} classes), but the \
         network has {CLASSES} classes, 0 to {}; {}",
        CLASSES - 1, label_advice(*first, *last)
    )]
    Label {
        /// Where the first such label is.
        index: usize,
        /// What it is.
        label: u8,
        /// The lowest label of the file.
        first: u8,
        /// The highest.
        last: u8,
        /// How many different ones it has.
        classes: usize,
    },
}

fn element_type(code: u8) -> String {
    let name = match code {
        8 => "unsigned bytes",
        9 => "signed bytes",
        0x0b => "16-bit integers",
        0x0c => "32-bit integers",
        0x0d => "32-bit floating-point numbers",
        0x0e => "64-bit floating-point numbers",
        other => return format!("elements of the unknown type {other:#04x}"),
    };
    name.to_string()
}

fn needed(kind: Kind) -> String {
    match kind {
        Kind::Images => format!("unsigned bytes (0 to 255) [n, {IMAGE_SIDE}, {IMAGE_SIDE}]"),
        Kind::Labels => "unsigned bytes [n], a class each,".to_string(),
    }
}

fn label_advice(first: u8, last: u8) -> String {
    match usize::from(last - first) {
        spread if spread < CLASSES => format!("subtract {first} from each"),
        _ => "choose a file of ten classes".to_string(),
    }
}
