//! A file that only ever grows by whole lines, each one JSON object; reading it, and what a crash may have left of its last
//! line.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::crash;

/// Bytes of the longest line that [`read_last`] finds.
const LONGEST: u64 = 1 << 16;

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

/// All lines of a file; one that is not there has none.
///
/// # Errors
/// It cannot be read, or a line cannot be understood.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let mut lines = Vec::new();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        match serde_json::from_str(line) {
            Ok(parsed) => lines.push(parsed),
            // The last one may be torn, or on its way.
            Err(_) if !line.ends_with('\n') => {}
            Err(error) => bail!("{}, line {}: {error}", path.display(), number + 1),
        }
    }
    Ok(lines)
}

/// The last whole line of a file, if it has one of at most [`LONGEST`] bytes.
///
/// # Errors
/// It cannot be read, or the line cannot be understood.
pub fn read_last<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let context = || format!("cannot read {}", path.display());
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(context),
    };
    let length = file.metadata().with_context(context)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(2 * LONGEST))).with_context(context)?;
    let mut end = Vec::new();
    file.read_to_end(&mut end).with_context(context)?;
    let whole = end.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    let line = end[..whole].split_inclusive(|byte| *byte == b'\n').next_back();
    line.map(serde_json::from_slice).transpose().with_context(context)
}

/// Removes what a crash left of a line, so that the next one begins on a line of its own.
///
/// # Errors
/// The system's own.
pub fn cut_torn_line(path: &Path) -> io::Result<()> {
    let content = match fs::read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let whole = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    if whole < content.len() {
        OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Line;
    use super::*;

    #[test]
    fn a_torn_line_goes_and_a_damaged_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        cut_torn_line(&path).unwrap();
        assert!(read::<Line>(&path).unwrap().is_empty());

        let whole = "{\"time\":\"t\",\"kind\":\"leave\",\"slot\":3}\n";
        fs::write(&path, [whole, "{\"time\":\"t\",\"ki"].concat()).unwrap();
        assert_eq!(read::<Line>(&path).unwrap().len(), 1);
        assert_eq!(read_last::<Line>(&path).unwrap(), Some(read::<Line>(&path).unwrap().remove(0)));
        cut_torn_line(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);

        fs::write(&path, [whole, "nonsense\n", whole].concat()).unwrap();
        assert!(read::<Line>(&path).unwrap_err().to_string().contains("line 2"));
    }
}
