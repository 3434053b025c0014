//! The file formats that samples come in, each read strictly. A tour:
//!
//! - `content`: a file or a member of an archive as a stream, unpacked on the way; `gzip`: how; `archive`: zip archives; `tar`: others;
//!   `place`: a folder or an archive, alike;
//! - `array`: numbers in rows, what IDX and NumPy files hold; [`idx`] and [`npy`]: their headers; `pixels` and `labels`:
//!   what arrays can be, and are turned to;
//! - `pair`: images and the labels that belong to them; `four_files`: the names under which they lie in a folder;
//! - [`emnist`], [`cifar`], `numpy`: data sets as they are published; [`cifar_records`]: samples of the
//!   latter; `cifar_names`, [`mapping`], `kana`: classes;
//! - [`class_names`]: files that name classes;
//! - [`problem`]: what is wrong with a file.
//!
//! Called by [`super::load()`] alone, but for the fuzz targets. Memory grows with what is there, never with what a header
//! claims, and not beyond [`Reading::limit`]. Nothing here is written to disk.

pub(crate) mod archive;
pub(crate) mod array;
pub mod cifar;
mod cifar_names;
pub mod cifar_records;
pub mod class_names;
pub(crate) mod content;
pub mod emnist;
pub(crate) mod four_files;
mod gzip;
pub mod idx;
mod kana;
pub(crate) mod labels;
pub mod mapping;
pub mod npy;
pub(crate) mod numpy;
pub(crate) mod pair;
pub(crate) mod pixels;
pub(crate) mod place;
pub mod problem;
mod tar;
#[cfg(test)]
pub(crate) mod test_files;

use std::io::Read;
use std::path::PathBuf;

pub use pixels::Images;

use self::content::Content;
use self::problem::Problem;

/// What files are read for, and how far.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Height and width of images that lie in rows of numbers, `[n, height · width]`.
    pub image_size: Option<(usize, usize)>,
    /// Whether the samples to test on are wanted.
    pub test: bool,
    /// Most bytes of an array, unpacked.
    pub limit: u64,
}

impl Reading {
    /// Most bytes that are held of one array. Larger sets are better kept as a folder of images.
    pub const LARGEST: u64 = 32 << 30;
}

impl Default for Reading {
    fn default() -> Self {
        Self { image_size: None, test: true, limit: Self::LARGEST }
    }
}

/// What a file is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Images, `[n, height, width]` and the like.
    Images,
    /// A class for each, `[n]`.
    Labels,
}

impl Role {
    /// What a message calls them.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Role::Images => "images",
            Role::Labels => "labels",
        }
    }
}

/// Images and the class of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// At least one.
    pub images: Images,
    /// As many.
    pub labels: Vec<u16>,
}

/// What a data set's files hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Splits {
    pub train: Pair,
    pub test: Option<Pair>,
    pub names: ClassNames,
}

/// What is known of the classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClassNames {
    /// Nothing: there are as many as the labels say.
    Numbered,
    /// All of them: the set is known.
    Fixed(Vec<String>),
    /// A file names them; there have to be as many as the labels say.
    Listed { file: PathBuf, names: Vec<String> },
}

/// Reads images of an IDX or NumPy file from a stream, plain or compressed with gzip.
///
/// # Errors
/// What is wrong with it.
pub fn read_images(reader: impl Read, reading: &Reading) -> Result<Images, Problem> {
    pixels::read(&mut Content::of(reader)?, reading)
}

/// Reads labels of an IDX or NumPy file from a stream, plain or compressed with gzip.
///
/// # Errors
/// What is wrong with it.
pub fn read_labels(reader: impl Read, reading: &Reading) -> Result<Vec<u16>, Problem> {
    labels::read(&mut Content::of(reader)?, reading)
}
