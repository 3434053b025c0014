//! What is wrong with a file, in words for the user.
//!
//! Raised by all formats; they know no more than the file's bytes.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use common::data_shape::DataShape;
use thiserror::Error;

use super::Role;
use super::array::Element;

/// A file that cannot be used.
#[derive(Debug, Error)]
#[error("{}{}: {problem}", path.display(), member.as_ref().map_or(String::new(), |name| format!(", {name} in it")))]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// Which file in it, where it is an archive.
    pub member: Option<String>,
    /// What is wrong with it. Said above, so no source of its own.
    pub problem: Problem,
}

/// What is wrong with a file, and what to do.
#[derive(Debug, Error)]
pub enum Problem {
    /// Opening or reading failed.
    #[error("cannot be read: {0}; check the path and its permissions")]
    Unreadable(io::Error),
    /// No file at all.
    #[error(
        "is a folder; name a file in it, or give the folder alone if it has the usual names in it"
    )]
    Folder,
    /// Starts like a packed file, but cannot be unpacked.
    #[error("its {packing} stream is damaged or cut off ({error}); delete it and fetch it again")]
    Compression {
        /// What it is packed with.
        packing: &'static str,
        /// What unpacking it said.
        error: io::Error,
    },
    /// Images where labels are expected, or the other way round.
    #[error("holds {} where {} are expected; exchange the two paths", found.plural(), expected.plural())]
    Exchanged {
        /// What should be there.
        expected: Role,
        /// What is there.
        found: Role,
    },
    /// A format that is known, with what to do.
    #[error("{0}")]
    Known(&'static str),
    /// An array of elements that cannot be used.
    #[error(
        "holds elements of the type {found}; {} are needed, so convert it",
        needed(*role)
    )]
    Type {
        /// What should be there.
        role: Role,
        /// The type, in the format's own words.
        found: String,
    },
    /// An array of other dimensions.
    #[error(
        "holds {element} of {} dimensions {sizes:?}; {} are needed, so convert it",
        sizes.len(), needed(*role)
    )]
    Dimensions {
        /// What should be there.
        role: Role,
        /// What the numbers are.
        element: Element,
        /// Its dimensions.
        sizes: Vec<u64>,
    },
    /// Channels may be first or last.
    #[error(
        "holds an array of the dimensions {0:?}: where its channels are cannot be told; reshape it to \
         [n, height, width, channels] with sides of more than 3 pixels"
    )]
    Channels(Vec<u64>),
    /// Images as rows of numbers.
    #[error("holds images as rows of {numbers} numbers; say how large they are: {}", size_flag(*numbers))]
    Flat {
        /// Numbers of an image.
        numbers: u64,
    },
    /// Rows of another length than the size given makes.
    #[error(
        "holds images as rows of {numbers} numbers, but --image-size says {height}x{width}, which is {}; \
         {}",
        height * width, rows_advice(*numbers, height * width)
    )]
    FlatSize {
        /// Numbers of an image.
        numbers: u64,
        /// As it was given.
        height: usize,
        /// As it was given.
        width: usize,
    },
    /// Numbers of the header the other way round.
    #[error(
        "its header is little-endian; in an IDX file the sizes are big-endian (in NumPy: dtype '>u4'), write it anew"
    )]
    LittleEndian,
    /// Another format.
    #[error(
        "is neither an IDX file nor a NumPy array of {}: starts with the bytes {found:02x?}; choose another file",
        expected.plural()
    )]
    Foreign {
        /// What should be there.
        expected: Role,
        /// Its first bytes.
        found: [u8; 4],
    },
    /// A NumPy header that says something else than NumPy writes.
    #[error("is a NumPy array whose header {0}; write it anew with numpy.save")]
    NumPy(String),
    /// Images of a size that cannot be used.
    #[error(
        "holds images of {rows}×{columns} pixels; each side has 1 to {}, so resize them",
        DataShape::LARGEST_SIDE
    )]
    ImageSize {
        /// Their height.
        rows: u64,
        /// Their width.
        columns: u64,
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
    /// More bytes than there can be.
    #[error(
        "has, or claims to have, more than {limit} bytes when it is unpacked, which are not read; choose another file"
    )]
    TooLarge {
        /// The most that are read.
        limit: u64,
    },
    /// A header without samples.
    #[error("holds no {}; choose another file", .0.plural())]
    Empty(Role),
    /// A number that is no pixel.
    #[error(
        "number {index} (counted from 0) is {value}; pixels are whole numbers from 0 to 255: scale and round them, and \
         write unsigned bytes (in NumPy: astype('uint8'))"
    )]
    Pixel {
        /// Where the first such number is.
        index: usize,
        /// What it is.
        value: f64,
    },
    /// Brightness from 0 to 1.
    #[error(
        "holds floating-point numbers from 0 to 1; multiply them by 255, round them, and write unsigned bytes (in NumPy: \
         astype('uint8'))"
    )]
    Scaled,
    /// A number that is no class.
    #[error(
        "label {index} (counted from 0) is {label}: the labels run from {first} to {last} ({classes} classes), but \
         classes are whole numbers from 0 to {}; {}",
        DataShape::MOST_CLASSES - 1, label_advice(*first, *last)
    )]
    Label {
        /// Where the first such label is.
        index: usize,
        /// What it is.
        label: f64,
        /// The lowest label of the file.
        first: f64,
        /// The highest.
        last: f64,
        /// How many different ones it has.
        classes: usize,
    },
    /// A class that a known set does not have.
    #[error(
        "label {index} (counted from 0) is {label}, but this data set's run from {first} to {last}; fetch the right file"
    )]
    OtherClass {
        /// Where the first such label is.
        index: usize,
        /// What it is.
        label: u16,
        /// The lowest that there can be.
        first: usize,
        /// The highest.
        last: usize,
    },
    /// No whole number of records.
    #[error(
        "has {found} bytes, which are no whole number of records of {record} bytes ({layout}); fetch it again"
    )]
    Records {
        /// Its length.
        found: u64,
        /// Bytes of a record.
        record: usize,
        /// What a record is made of.
        layout: &'static str,
    },
    /// A text file of names or codes that is something else.
    #[error("line {line} {why}; correct it")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// A text file of the wrong number of lines.
    #[error("names {found} classes, but there are {expected}; give each class a line")]
    Lines {
        /// Lines with names.
        found: usize,
        /// Classes.
        expected: usize,
    },
    /// Not text.
    #[error("is no text in UTF-8; write it anew")]
    Text,
    /// An archive that cannot be opened.
    #[error("is a zip archive, but cut off or damaged ({0}); fetch it again")]
    Zip(String),
    /// An archive that holds something else.
    #[error("is an archive that holds {}, but not {wanted}; choose another file", list(found))]
    Members {
        /// What was looked for.
        wanted: String,
        /// What is there.
        found: Vec<String>,
    },
    /// A member that is packed in a way that cannot be undone here.
    #[error("cannot be unpacked ({0}); unpack the archive and give the folder")]
    Method(String),
}

impl Problem {
    /// Of this file.
    pub(crate) fn of(self, path: &Path) -> FileError {
        FileError { path: path.to_owned(), member: None, problem: self }
    }

    /// Of this file in an archive.
    pub(crate) fn of_member(self, path: &Path, member: &str) -> FileError {
        FileError { path: path.to_owned(), member: Some(member.to_owned()), problem: self }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Element::U8 => "unsigned bytes",
            Element::I8 => "signed bytes",
            Element::U16 | Element::U32 | Element::U64 => "unsigned integers",
            Element::I16 => "16-bit integers",
            Element::I32 => "32-bit integers",
            Element::I64 => "64-bit integers",
            Element::F32 => "32-bit floating-point numbers",
            Element::F64 => "64-bit floating-point numbers",
        })
    }
}

/// Some names, so that a message stays short.
pub(crate) fn list(names: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => "nothing".to_owned(),
        count if count > SHOWN => format!("{shown} and {} more", count - SHOWN),
        _ => shown,
    }
}

fn needed(role: Role) -> &'static str {
    match role {
        Role::Images => {
            "unsigned bytes (0 to 255) [n, height, width] or [n, height, width, 1 or 3]"
        }
        Role::Labels => "integers [n], a class each,",
    }
}

fn size_flag(numbers: u64) -> String {
    match numbers.isqrt() {
        side if side * side == numbers => format!("--image-size {side}x{side}, if they are square"),
        _ => "--image-size HEIGHTxWIDTH".to_owned(),
    }
}

fn rows_advice(numbers: u64, given: usize) -> &'static str {
    if numbers == 3 * given as u64 {
        "colours in rows may be ordered in two ways, so reshape the array to [n, height, width, 3]"
    } else {
        "give the right size"
    }
}

fn label_advice(first: f64, last: f64) -> String {
    match last - first {
        _ if first.fract() != 0.0 || last.fract() != 0.0 => "write integers".to_owned(),
        spread if spread < DataShape::MOST_CLASSES as f64 => format!("subtract {first} from each"),
        _ => "number the classes anew".to_owned(),
    }
}
