//! The records of CIFAR's binary version: labels and planes of pixels.
//!
//! Called by [`super::cifar`] for each of its files.

use std::io::Read;

use super::cifar::Variant;
use super::content::Content;
use super::problem::Problem;
use super::{Images, Pair, Reading, Role};

const CHANNELS: usize = 3;
const SIDE: usize = 32;
/// Numbers of an image.
pub(crate) const PIXELS: usize = CHANNELS * SIDE * SIDE;
/// No file holds more.
const MOST_RECORDS: u64 = 50_000;

/// Reads the records of a file from a stream.
///
/// # Errors
/// What is wrong with it.
pub fn read_records(
    reader: impl Read,
    variant: Variant,
    reading: &Reading,
) -> Result<Pair, Problem> {
    records_of(&mut Content::of(reader)?, variant, reading)
}

pub(crate) fn records_of(
    content: &mut Content<'_>,
    variant: Variant,
    reading: &Reading,
) -> Result<Pair, Problem> {
    let (label_bytes, record) = (variant.label_bytes(), variant.label_bytes() + PIXELS);
    let bytes = content.all(reading.limit.min(MOST_RECORDS * record as u64))?;
    if bytes.is_empty() {
        return Err(Problem::Empty(Role::Images));
    }
    if !bytes.len().is_multiple_of(record) {
        let (found, layout) = (bytes.len() as u64, variant.layout());
        return Err(Problem::Records { found, record, layout });
    }
    let last = variant.class_names().len() - 1;
    let count = bytes.len() / record;
    let (mut labels, mut planes) = (Vec::with_capacity(count), Vec::with_capacity(count * PIXELS));
    for (index, record) in bytes.chunks_exact(record).enumerate() {
        let (label, pixels) = record.split_at(label_bytes);
        let label = u16::from(label[label_bytes - 1]);
        if usize::from(label) > last {
            return Err(Problem::OtherClass { index, label, first: 0, last });
        }
        labels.push(label);
        planes.extend(pixels);
    }
    let images = Images { channels: CHANNELS, height: SIDE, width: SIDE, pixels: planes };
    Ok(Pair { images: images.interleaved(), labels })
}
