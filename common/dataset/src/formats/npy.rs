//! The header of NumPy's `.npy` files, versions 1 to 3.
//!
//! `array` calls it. The format: six bytes of magic, the version, the length of the header, little-endian; then a Python
//! dictionary of element type, order and dimensions, and the elements. Own code, because the kept readers take as much
//! memory as a header claims, and bring a grammar for all of Python's literals along.

use super::Role;
use super::array::{Element, Header};
use super::content::Content;
use super::problem::Problem;

/// What every file starts with.
pub(crate) const MAGIC: [u8; 6] = *b"\x93NUMPY";

/// Longest header that is read; NumPy itself refuses those of more than 10,000 bytes.
const LONGEST: u32 = 1 << 16;

/// Reads the header of a file that is to hold samples of this role.
pub(crate) fn read_header(content: &mut Content<'_>, role: Role) -> Result<Header, Problem> {
    let start = exactly(content, 8, 0)?;
    let (field, length) = match start[6..] {
        [1, 0] => {
            let field = exactly(content, 2, 8)?;
            (2, u32::from(u16::from_le_bytes([field[0], field[1]])))
        }
        [2 | 3, 0] => {
            let field = exactly(content, 4, 8)?;
            (4, u32::from_le_bytes([field[0], field[1], field[2], field[3]]))
        }
        [major, minor, ..] => return Err(wrong(format!("has the version {major}.{minor}"))),
        _ => unreachable!("eight bytes are there"),
    };
    if length > LONGEST {
        return Err(wrong(format!("claims to have {length} bytes")));
    }
    let text = exactly(content, length.into(), 8 + field)?;
    let text = str::from_utf8(&text).map_err(|_| wrong("is no text".to_owned()))?;
    let Dictionary { element, fortran, shape } = Dictionary::parse(text).map_err(wrong)?;
    let (element, big_endian) = element_of(&element)
        .ok_or_else(|| Problem::Type { role, found: format!("'{element}'") })?;
    if fortran && shape.len() > 1 {
        return Err(wrong(
            "says that it is in Fortran's order, columns first (numpy.ascontiguousarray turns it)"
                .to_owned(),
        ));
    }
    Ok(Header { element, big_endian, sizes: shape, length: 8 + field + u64::from(length) })
}

/// So many bytes, or that the file is cut off after those `before`.
fn exactly(content: &mut Content<'_>, count: u64, before: u64) -> Result<Vec<u8>, Problem> {
    let bytes = content.up_to(count)?;
    let found = bytes.len() as u64;
    if found == count {
        Ok(bytes)
    } else {
        Err(Problem::Truncated { expected: before + count, found: before + found })
    }
}

fn wrong(why: String) -> Problem {
    Problem::NumPy(why)
}

/// The type, and whether its highest byte is first.
fn element_of(text: &str) -> Option<(Element, bool)> {
    let order = text.chars().next()?;
    let element = match &text[order.len_utf8()..] {
        "u1" => Element::U8,
        "i1" => Element::I8,
        "u2" => Element::U16,
        "i2" => Element::I16,
        "u4" => Element::U32,
        "i4" => Element::I32,
        "u8" => Element::U64,
        "i8" => Element::I64,
        "f4" => Element::F32,
        "f8" => Element::F64,
        _ => return None,
    };
    match order {
        '<' => Some((element, false)),
        '>' => Some((element, true)),
        '|' if element.width() == 1 => Some((element, false)),
        _ => None,
    }
}

/// What a header says.
#[derive(Debug, PartialEq)]
struct Dictionary {
    element: String,
    fortran: bool,
    shape: Vec<u64>,
}

impl Dictionary {
    fn parse(text: &str) -> Result<Self, String> {
        let mut scanner = Scanner { rest: text };
        let (mut element, mut fortran, mut shape) = (None, None, None);
        scanner.expect('{')?;
        while !scanner.takes('}') {
            let key = scanner.string()?;
            scanner.expect(':')?;
            match key {
                "descr" => element = Some(scanner.string()?.to_owned()),
                "fortran_order" => fortran = Some(scanner.truth()?),
                "shape" => shape = Some(scanner.sizes()?),
                other => return Err(format!("has the unknown key '{other}'")),
            }
            if !scanner.takes(',') {
                scanner.expect('}')?;
                break;
            }
        }
        if !scanner.rest.trim().is_empty() {
            return Err("goes on after its end".to_owned());
        }
        match (element, fortran, shape) {
            (Some(element), Some(fortran), Some(shape)) => Ok(Self { element, fortran, shape }),
            _ => Err("lacks its type, order or dimensions".to_owned()),
        }
    }
}

/// The rest of a Python literal.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn takes(&mut self, letter: char) -> bool {
        self.rest = self.rest.trim_start();
        let rest = self.rest.strip_prefix(letter);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, letter: char) -> Result<(), String> {
        if self.takes(letter) {
            return Ok(());
        }
        let found: String = self.rest.chars().take(12).collect();
        Err(format!("has `{found}` where `{letter}` is expected"))
    }

    /// A string in quotes, without escapes: none that matters has any.
    fn string(&mut self) -> Result<&'a str, String> {
        let quote = if self.takes('"') {
            '"'
        } else if self.rest.starts_with('[') {
            return Err("describes a table of several columns; keep images and labels as arrays of their own".to_owned());
        } else {
            self.expect('\'')?;
            '\''
        };
        let (text, rest) =
            self.rest.split_once(quote).ok_or("has a string without an end".to_owned())?;
        self.rest = rest;
        Ok(text)
    }

    fn word(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|letter: char| !letter.is_ascii_alphanumeric());
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }

    fn truth(&mut self) -> Result<bool, String> {
        match self.word() {
            "True" => Ok(true),
            "False" => Ok(false),
            other => Err(format!("has `{other}` where True or False is expected")),
        }
    }

    fn sizes(&mut self) -> Result<Vec<u64>, String> {
        let mut sizes = Vec::new();
        self.expect('(')?;
        while !self.takes(')') {
            // Python 2 wrote some of them as 28L.
            let word = self.word();
            let size = word.strip_suffix('L').unwrap_or(word).parse();
            sizes.push(size.map_err(|_| format!("has the dimension `{word}`"))?);
            if !self.takes(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(sizes)
    }
}

/// A `.npy` file of unsigned bytes of these dimensions; what tests write.
pub fn encode(sizes: &[usize], data: &[u8]) -> Vec<u8> {
    let sizes: String = sizes.iter().map(|size| format!("{size}, ")).collect();
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({sizes}), }}\n");
    let length = (header.len() as u16).to_le_bytes();
    [&MAGIC[..], &[1, 0], &length, header.as_bytes(), data].concat()
}

#[cfg(test)]
#[path = "npy_tests.rs"]
mod tests;
