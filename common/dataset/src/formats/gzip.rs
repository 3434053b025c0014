//! Gzip as gzip(1) takes it: one member or several, one after the other, and zeros after the last.
//!
//! [`super::content`] reads through it. Archives that were padded to whole blocks, by tape programs and some mirrors, end in
//! such zeros; anything else there is damage.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// Decompresses on the way.
pub struct Gunzip<R> {
    /// The member that is being read; none after the last.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Gunzip<R> {
    /// Of a stream that starts with a member.
    pub fn new(reader: R) -> Self {
        Self { member: Some(GzDecoder::new(reader)) }
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = self.member.as_mut().filter(|_| !buffer.is_empty()) {
            let count = member.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            let another = next_member(member.get_mut())?;
            let ended = self.member.take().filter(|_| another);
            self.member = ended.map(|member| GzDecoder::new(member.into_inner()));
        }
        Ok(0)
    }
}

/// Whether another member follows; the padding is read away.
fn next_member(reader: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let rest = reader.fill_buf()?;
        match rest.first() {
            None => return Ok(false),
            Some(0x1f) => return Ok(true),
            Some(0) => {}
            Some(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "something else follows it",
                ));
            }
        }
        let zeros = rest.iter().take_while(|&&byte| byte == 0).count();
        reader.consume(zeros);
    }
}
