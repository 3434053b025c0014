//! Reading `events.jsonl`, and what a crash may have left of its last line.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::ledger::Line;

/// All lines of a file; one that is not there has none.
///
/// # Errors
/// It cannot be read, or a line cannot be understood.
pub fn read(path: &Path) -> Result<Vec<Line>> {
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
    use super::*;

    #[test]
    fn a_torn_line_goes_and_a_damaged_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        cut_torn_line(&path).unwrap();
        assert!(read(&path).unwrap().is_empty());

        let whole = "{\"time\":\"t\",\"kind\":\"leave\",\"slot\":3}\n";
        fs::write(&path, [whole, "{\"time\":\"t\",\"ki"].concat()).unwrap();
        assert_eq!(read(&path).unwrap().len(), 1);
        cut_torn_line(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);

        fs::write(&path, [whole, "nonsense\n", whole].concat()).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("line 2"));
    }
}
