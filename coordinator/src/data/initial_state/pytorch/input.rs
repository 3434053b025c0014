//! The bytes of a pickle, from the first to the last, and the numbers and text that stand in them.
//!
//! `machine` takes opcodes from it.

use super::graph::Node;
use super::machine::PickleError;

/// What is left of the bytes.
#[derive(Debug)]
pub struct Input<'a> {
    content: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    /// All of them.
    pub fn new(content: &'a [u8]) -> Self {
        Self { content, at: 0 }
    }

    /// How many were taken.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The next bytes.
    ///
    /// # Errors
    /// So many are not left. That is so for all that takes bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], PickleError> {
        let content = self.content[self.at..].get(..count).ok_or(PickleError::CutOff)?;
        self.at += count;
        Ok(content)
    }

    /// The next bytes, as many as are asked for.
    pub fn array<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], PickleError> {
        let mut array = [0; SIZE];
        array.copy_from_slice(self.bytes(SIZE)?);
        Ok(array)
    }

    /// The next line, without its end.
    pub fn line(&mut self) -> Result<String, PickleError> {
        let rest = &self.content[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or(PickleError::CutOff)?;
        let line = String::from_utf8_lossy(self.bytes(length)?).trim_end().to_string();
        self.bytes(1)?;
        Ok(line)
    }

    /// What an opcode says by itself: a number, a truth value, `None`, text or bytes. Nothing for all other opcodes.
    pub fn scalar(&mut self, opcode: u8) -> Result<Option<Node>, PickleError> {
        let whole = |text: &str| text.parse().map_or(Node::Other, Node::Int);
        Ok(Some(match opcode {
            b'N' => Node::None,
            0x88 => Node::Bool(true),
            0x89 => Node::Bool(false),
            b'I' => match self.line()?.as_str() {
                "00" => Node::Bool(false),
                "01" => Node::Bool(true),
                text => whole(text),
            },
            b'L' => whole(self.line()?.trim_end_matches('L')),
            b'F' => self.line()?.parse().map_or(Node::Other, Node::Float),
            b'J' => Node::Int(i32::from_le_bytes(self.array()?).into()),
            b'K' => Node::Int(self.short()? as i64),
            b'M' => Node::Int(u16::from_le_bytes(self.array()?).into()),
            b'G' => Node::Float(f64::from_be_bytes(self.array()?)),
            0x8a => self.short().and_then(|length| self.long(length))?,
            0x8b => self.middle().and_then(|length| self.long(length))?,
            b'V' => Node::Text(self.line()?),
            b'S' => Node::Text(self.line()?.trim_matches(['\'', '"']).to_string()),
            b'U' | 0x8c => self.short().and_then(|length| self.text(length))?,
            b'X' | b'T' => self.middle().and_then(|length| self.text(length))?,
            0x8d => self.wide().and_then(|length| self.text(length))?,
            b'C' => self.short().and_then(|length| self.skip(length))?,
            b'B' => self.middle().and_then(|length| self.skip(length))?,
            0x8e | 0x96 => self.wide().and_then(|length| self.skip(length))?,
            _ => return Ok(None),
        }))
    }

    fn short(&mut self) -> Result<usize, PickleError> {
        Ok(self.array::<1>()?[0].into())
    }

    fn middle(&mut self) -> Result<usize, PickleError> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn wide(&mut self) -> Result<usize, PickleError> {
        usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| PickleError::CutOff)
    }

    fn text(&mut self, length: usize) -> Result<Node, PickleError> {
        Ok(Node::Text(String::from_utf8_lossy(self.bytes(length)?).into_owned()))
    }

    fn skip(&mut self, length: usize) -> Result<Node, PickleError> {
        self.bytes(length).map(|_| Node::Other)
    }

    /// An integer of any length, little-endian, two's complement.
    fn long(&mut self, length: usize) -> Result<Node, PickleError> {
        let content = self.bytes(length)?;
        let is_negative = content.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut array = [if is_negative { 0xff } else { 0 }; 8];
        let Some(place) = array.get_mut(..length) else { return Ok(Node::Other) };
        place.copy_from_slice(content);
        Ok(Node::Int(i64::from_le_bytes(array)))
    }
}
