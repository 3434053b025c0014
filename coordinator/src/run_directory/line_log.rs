//! A file that only ever grows by whole lines, each one JSON object.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::crash;

/// The open file.
#[derive(Debug)]
pub struct LineLog {
    file: File,
    /// Bytes of whole lines.
    length: u64,
}

impl LineLog {
    /// Opens it for appending, new or as it is.
    ///
    /// # Errors
    /// The system's own.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// The system's own; what was written of the line is taken back.
    pub fn append(&mut self, record: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        if crash::is_due() {
            self.file.write_all(&line[..line.len() / 2])?;
            crash::end();
        }
        if let Err(error) = self.file.write_all(&line) {
            self.file.set_len(self.length)?;
            return Err(error);
        }
        self.length += line.len() as u64;
        crash::point();
        Ok(())
    }

    /// Makes every line so far durable.
    ///
    /// # Errors
    /// The system's own.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
