//! The file of decoded images: a header, then the pixels of all training images, then those of all test images.
//!
//! ```text
//! 0   "CCIMAGES"               8 bytes
//! 8   version                  32 bits, little-endian, as all numbers here
//! 12  length of the contents   32 bits
//! 16  SHA-256 of the contents  32 bytes
//! 48  contents: JSON, a line break, the labels of both parts as `common::labels` writes them
//! …   zeros up to where the images start, as the JSON says
//! ```
//!
//! Written by [`super::make`], read by [`super::cache`]. The pixels have no digest here that is looked at: reading them all
//! would take as long as they are large.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use common::data_shape::DataShape;
use common::labels;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::samples::{Dataset, Facts, Measured, Samples};

/// Of the format, and of the rules by which images are decoded: a new one makes what was decoded before worthless.
pub(super) const VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"CCIMAGES";
/// Bytes before the contents.
const PREFACE: usize = 48;

/// All that such a file says of its images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    /// Digest of what it was made of.
    pub key: String,
    /// Channels, height, width.
    pub image: [usize; 3],
    /// In the order of labels.
    pub class_names: Vec<String>,
    /// Where the images start, bytes.
    pub start: u64,
    /// Training samples.
    pub train: usize,
    /// Test samples.
    pub test: usize,
    /// As in [`Facts`].
    pub sha256: String,
    /// Of each channel, as in [`Measured`].
    pub mean: Vec<f64>,
    /// Of each channel, as in [`Measured`].
    pub deviation: Vec<f64>,
    /// Images that were left out.
    pub left_out: usize,
    /// The first of them, and what is wrong with each.
    pub left_out_first: Vec<String>,
    /// Of both parts.
    #[serde(skip)]
    pub labels: Vec<u16>,
}

impl Header {
    /// What every image is like.
    pub fn shape(&self) -> DataShape {
        let [channels, height, width] = self.image;
        DataShape { channels, height, width, classes: self.class_names.len() }
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut contents = serde_json::to_vec(self).expect("numbers and text become JSON");
        contents.push(b'\n');
        contents.extend(labels::to_bytes(&self.labels, self.class_names.len()));
        let length = contents.len() as u32;
        let digest = Sha256::digest(&contents);
        [&MAGIC[..], &VERSION.to_le_bytes(), &length.to_le_bytes(), &digest[..], &contents].concat()
    }

    /// That of a file.
    ///
    /// # Errors
    /// What is wrong with the file, in words.
    pub fn read(file: &File) -> Result<Self, String> {
        let said = |error: io::Error| error.to_string();
        let mut preface = [0; PREFACE];
        file.read_exact_at(&mut preface, 0).map_err(said)?;
        let number = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| preface[at + i]));
        if preface[..8] != MAGIC[..] || number(8) != VERSION {
            return Err("it begins otherwise than such a file".to_owned());
        }
        let (length, size) = (number(12) as usize, file.metadata().map_err(said)?.len());
        if (PREFACE + length) as u64 > size {
            return Err("it is too short".to_owned());
        }
        let mut contents = vec![0; length];
        file.read_exact_at(&mut contents, PREFACE as u64).map_err(said)?;
        if Sha256::digest(&contents)[..] != preface[16..] {
            return Err("its header has another digest".to_owned());
        }
        Self::parse(&contents)?.checked(size)
    }

    fn parse(contents: &[u8]) -> Result<Self, String> {
        let end = contents.iter().position(|byte| *byte == b'\n').ok_or("it has no labels")?;
        let mut header: Self =
            serde_json::from_slice(&contents[..end]).map_err(|error| error.to_string())?;
        header.labels = labels::from_bytes(&contents[end + 1..], header.class_names.len());
        Ok(header)
    }

    /// Itself, if a file of `size` bytes can be its.
    fn checked(self, size: u64) -> Result<Self, String> {
        let shape = self.shape().check()?;
        let count = self.train.checked_add(self.test).filter(|count| *count == self.labels.len());
        let pixels = count.and_then(|count| count.checked_mul(shape.numbers()));
        if pixels.and_then(|pixels| self.start.checked_add(pixels as u64)) != Some(size) {
            return Err("it has another length than its header says".to_owned());
        }
        let is_class = |label: &u16| usize::from(*label) < shape.classes;
        if self.train == 0 || !self.labels.iter().all(is_class) {
            return Err("its labels are none".to_owned());
        }
        Ok(self)
    }

    /// The samples of the file that it is of.
    pub fn dataset(self, name: String, file: File) -> Dataset {
        let (shape, file) = (self.shape(), Arc::new(file));
        let Self { class_names, start, train, sha256, mean, deviation, labels, .. } = self;
        let facts = Arc::new(Facts { sha256, measured: Measured { mean, deviation } });
        let size = shape.numbers();
        let part = |start: u64, labels: &[u16]| {
            Samples::in_file(file.clone(), start, size, labels.to_vec()).with_facts(facts.clone())
        };
        let (of_train, of_test) = labels.split_at(train);
        Dataset {
            name,
            shape,
            class_names: class_names.into(),
            train: part(start, of_train),
            test: part(start + (train * size) as u64, of_test),
            synthetic: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn header() -> Header {
        Header {
            key: "ab".to_owned(),
            image: [1, 2, 3],
            class_names: vec!["a".to_owned(), "b\n".to_owned()],
            start: 1000,
            train: 2,
            test: 1,
            sha256: "cd".to_owned(),
            mean: vec![0.1],
            deviation: vec![1.0 / 3.0],
            left_out: 0,
            left_out_first: vec![],
            labels: vec![0, 1, 1],
        }
    }

    fn file(header: &Header, length: u64) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&header.to_bytes()).unwrap();
        file.set_len(length).unwrap();
        file
    }

    #[test]
    fn it_comes_back() {
        assert_eq!(Header::read(&file(&header(), 1018)), Ok(header()));
        let dataset = header().dataset("x".to_owned(), file(&header(), 1018));
        assert_eq!((dataset.train.labels(), dataset.test.labels()), (&[0, 1][..], &[1][..]));
        assert_eq!(dataset.facts().unwrap().measured.deviation, [1.0 / 3.0]);
    }

    #[test]
    fn every_damage_is_seen() {
        let check = |header: &Header, length: u64, why: &str| {
            let error = Header::read(&file(header, length)).unwrap_err();
            assert!(error.contains(why), "{why}: {error}");
        };
        check(&header(), 1017, "another length");
        check(&header(), 1019, "another length");
        check(&header(), 60, "too short");
        check(&header(), 0, "fill");
        check(&Header { labels: vec![0, 1, 2], ..header() }, 1018, "labels");
        check(&Header { labels: vec![0, 1], ..header() }, 1018, "another length");
        check(&Header { train: usize::MAX, ..header() }, 1018, "another length");
        check(&Header { image: [2, 2, 3], ..header() }, 1036, "2 channels");
        for (at, byte) in header().to_bytes().into_iter().enumerate() {
            let damaged = file(&header(), 1018);
            damaged.write_all_at(&[byte ^ 4], at as u64).unwrap();
            assert!(Header::read(&damaged).is_err(), "{at}");
        }
    }
}
