//! The header of IDX files.
//!
//! `array` calls it. The format: two zero bytes, the element type (8: unsigned byte), the number of dimensions, each
//! dimension as a big-endian 32-bit integer; then the elements row-major, big-endian. Nothing in a header is believed
//! before the bytes are there.

use common::data_shape::DataShape;
use common::foreign;

use super::Role;
use super::array::{Element, Header};
use super::content::Content;
use super::problem::Problem;

/// More dimensions than any file of samples has.
const DIMENSIONS: u8 = 4;

fn element(code: u8) -> Option<Element> {
    Some(match code {
        8 => Element::U8,
        9 => Element::I8,
        0x0b => Element::I16,
        0x0c => Element::I32,
        0x0d => Element::F32,
        0x0e => Element::F64,
        _ => return None,
    })
}

/// Reads the header of a file that is to hold samples of this role.
pub(crate) fn read_header(content: &mut Content<'_>, role: Role) -> Result<Header, Problem> {
    // What else it is may show only further on.
    let start = content.peek(foreign::START as u64)?;
    let other = |problem| foreign::recognise(&start).map_or(problem, Problem::Known);
    let usual = 4 + 4 * if role == Role::Images { 3 } else { 1 };
    let Some(magic) = start.first_chunk::<4>() else {
        return Err(other(Problem::Truncated { expected: usual, found: start.len() as u64 }));
    };
    let (code, dimensions) = match *magic {
        [0, 0, code, dimensions] if dimensions > 0 => (code, dimensions),
        [1..=DIMENSIONS, code, 0, 0] if element(code).is_some() => {
            return Err(Problem::LittleEndian);
        }
        found => return Err(other(Problem::Foreign { expected: role, found })),
    };
    let length = 4 + 4 * u64::from(dimensions);
    let header = content.up_to(length)?;
    if header.len() as u64 != length {
        return Err(Problem::Truncated { expected: length, found: header.len() as u64 });
    }
    let sizes: Vec<u32> =
        header[4..].as_chunks::<4>().0.iter().map(|&size| u32::from_be_bytes(size)).collect();
    let Some(element) = element(code) else {
        return Err(Problem::Type { role, found: format!("{code:#04x}, which IDX does not have") });
    };
    if sides_are_swapped(&sizes) {
        return Err(Problem::LittleEndian);
    }
    let sizes = sizes.into_iter().map(u64::from).collect();
    Ok(Header { element, big_endian: true, sizes, length })
}

/// Whether the sides of images make sense the other way round alone.
fn sides_are_swapped(sizes: &[u32]) -> bool {
    let sides = sizes.get(1..).unwrap_or_default();
    let fits = |side: u32| side as usize <= DataShape::LARGEST_SIDE;
    sides.iter().any(|&side| !fits(side)) && sides.iter().all(|&side| fits(side.swap_bytes()))
}

/// Whether so many bytes would follow a header of labels if its size were little-endian.
pub(crate) fn is_swapped(header: &Header, data: u64) -> bool {
    let [size] = header.sizes[..] else { return false };
    let swapped = u32::try_from(size).map(u32::swap_bytes).unwrap_or_default();
    header.big_endian && u64::from(swapped) * header.element.width() as u64 == data
}

/// The IDX file, uncompressed, of unsigned bytes of these dimensions; what tests write.
pub fn encode(sizes: &[usize], data: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, sizes.len() as u8];
    file.extend(sizes.iter().flat_map(|&size| (size as u32).to_be_bytes()));
    file.extend(data);
    file
}

/// The IDX file, uncompressed, of images `[n, 28, 28]`; what tests write.
pub fn encode_images(pixels: &[u8]) -> Vec<u8> {
    let DataShape { height, width, .. } = DataShape::MNIST;
    encode(&[pixels.len() / (height * width), height, width], pixels)
}

/// The IDX file, uncompressed, of labels `[n]`; what tests write.
pub fn encode_labels(labels: &[u8]) -> Vec<u8> {
    encode(&[labels.len()], labels)
}

#[cfg(test)]
#[path = "idx_tests.rs"]
mod tests;
