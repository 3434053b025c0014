//! Numbers in rows: what IDX and NumPy files hold.
//!
//! `pixels` and `labels` read arrays through it and decide what they can be. The headers are [`super::idx`]'s and
//! [`super::npy`]'s.

use std::cmp::Ordering;

use super::content::Content;
use super::problem::Problem;
use super::{Reading, Role, idx, npy};

/// What a number is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// Unsigned byte.
    U8,
    /// Signed byte.
    I8,
    /// Unsigned 16-bit integer.
    U16,
    /// Signed 16-bit integer.
    I16,
    /// Unsigned 32-bit integer.
    U32,
    /// Signed 32-bit integer.
    I32,
    /// Unsigned 64-bit integer.
    U64,
    /// Signed 64-bit integer.
    I64,
    /// 32-bit floating-point number.
    F32,
    /// 64-bit floating-point number.
    F64,
}

impl Element {
    /// Bytes of a number.
    pub fn width(self) -> usize {
        match self {
            Element::U8 | Element::I8 => 1,
            Element::U16 | Element::I16 => 2,
            Element::U32 | Element::I32 | Element::F32 => 4,
            Element::U64 | Element::I64 | Element::F64 => 8,
        }
    }

    pub fn is_float(self) -> bool {
        matches!(self, Element::F32 | Element::F64)
    }

    /// The number of these bytes, the lowest first. Integers beyond 2⁵³ are rounded: none of them is of use.
    fn value(self, bytes: [u8; 8]) -> f64 {
        let bits = u64::from_le_bytes(bytes);
        let unused = u64::BITS - 8 * self.width() as u32;
        match self {
            Element::U8 | Element::U16 | Element::U32 | Element::U64 => bits as f64,
            Element::I8 | Element::I16 | Element::I32 | Element::I64 => {
                ((bits << unused) as i64 >> unused) as f64
            }
            Element::F32 => f64::from(f32::from_bits(bits as u32)),
            Element::F64 => f64::from_bits(bits),
        }
    }
}

/// What a file says of its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub element: Element,
    /// Whether a number's highest byte is first.
    pub big_endian: bool,
    /// Of each dimension, the slowest first.
    pub sizes: Vec<u64>,
    /// Bytes of the header.
    pub length: u64,
}

impl Header {
    /// Bytes that must follow.
    fn data_length(&self) -> u64 {
        self.sizes.iter().fold(self.element.width() as u64, |product, &size| {
            // A size of 0 is refused elsewhere; here it only has to stay one.
            if product == 0 { 0 } else { product.saturating_mul(size) }
        })
    }
}

/// All numbers of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    pub header: Header,
    pub data: Vec<u8>,
}

impl Array {
    /// Its numbers in order.
    pub fn numbers(&self) -> impl Iterator<Item = f64> {
        let (element, big_endian) = (self.header.element, self.header.big_endian);
        self.data.chunks_exact(element.width()).map(move |number| {
            let mut bytes = [0; 8];
            for (index, &byte) in number.iter().enumerate() {
                bytes[if big_endian { number.len() - 1 - index } else { index }] = byte;
            }
            element.value(bytes)
        })
    }
}

/// Reads a header; `role` is for messages.
pub fn read_header(content: &mut Content<'_>, role: Role) -> Result<Header, Problem> {
    if content.peek(npy::MAGIC.len() as u64)? == npy::MAGIC {
        npy::read_header(content, role)
    } else {
        idx::read_header(content, role)
    }
}

/// Reads the numbers that follow a header, and sees that nothing follows them.
pub fn read_data(
    content: &mut Content<'_>,
    header: Header,
    reading: &Reading,
) -> Result<Array, Problem> {
    let data_length = header.data_length();
    // More than the limit is refused only where it is there: a header that claims too much belongs to a file that is cut.
    let data = content.up_to(data_length.min(reading.limit).saturating_add(1))?;
    if data.len() as u64 > reading.limit {
        return Err(Problem::TooLarge { limit: reading.limit });
    }
    let expected = header.length.saturating_add(data_length);
    let found = header.length + data.len() as u64;
    match found.cmp(&expected) {
        Ordering::Equal => Ok(Array { header, data }),
        Ordering::Less if idx::is_swapped(&header, data.len() as u64) => Err(Problem::LittleEndian),
        Ordering::Less => Err(Problem::Truncated { expected, found }),
        Ordering::Greater => Err(Problem::Trailing { expected }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_type_and_order() {
        let check = |element, big_endian, data: &[u8], expected: f64| {
            let header = Header { element, big_endian, sizes: vec![1], length: 0 };
            let array = Array { header, data: data.to_vec() };
            assert_eq!(array.numbers().collect::<Vec<_>>(), [expected], "{element:?}");
        };
        check(Element::U8, true, &[200], 200.0);
        check(Element::I8, false, &[200], -56.0);
        check(Element::U16, true, &[1, 2], 258.0);
        check(Element::U16, false, &[1, 2], 513.0);
        check(Element::I16, true, &[0xff, 0xfe], -2.0);
        check(Element::U32, false, &[0, 0, 0, 0x80], 2_147_483_648.0);
        check(Element::I32, true, &[0, 0, 1, 0], 256.0);
        check(Element::I64, false, &(-9_i64).to_le_bytes(), -9.0);
        check(Element::U64, true, &9_u64.to_be_bytes(), 9.0);
        check(Element::F32, true, &2.5_f32.to_be_bytes(), 2.5);
        check(Element::F64, false, &(-0.25_f64).to_le_bytes(), -0.25);
    }

    #[test]
    fn a_claim_beyond_all_numbers_is_no_overflow() {
        let sizes = vec![u64::MAX, 3, u64::MAX];
        let header = Header { element: Element::F64, big_endian: true, sizes, length: 16 };
        let mut content = Content::of(&[0; 9][..]).unwrap();
        let problem = read_data(&mut content, header, &Reading::default()).unwrap_err();
        assert!(matches!(problem, Problem::Truncated { expected: u64::MAX, found: 25 }));
    }
}
