//! Where log lines go: the terminal, above the progress bar, and `coordinator.log`.
//!
//! Set up by `main` before anything else; the file joins when the run directory is known.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::ProgressBar;
use tracing_subscriber::fmt::MakeWriter;

/// `coordinator.log`. Lines written before it is attached are kept and written then.
#[derive(Clone, Debug, Default)]
pub struct LogFile(Arc<Mutex<Target>>);

#[derive(Debug)]
enum Target {
    Waiting(Vec<u8>),
    File(File),
}

impl Default for Target {
    fn default() -> Self {
        Self::Waiting(Vec::new())
    }
}

impl LogFile {
    /// Appends to the file at `path` from now on.
    ///
    /// # Errors
    /// The system's own.
    pub fn attach(&self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        let mut target = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Target::Waiting(lines) = &*target {
            file.write_all(lines)?;
        }
        *target = Target::File(file);
        Ok(())
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Target::Waiting(lines) => lines.write(line),
            Target::File(file) => file.write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogFile {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Standard error, shared with a progress bar that log lines must not tear.
#[derive(Clone, Debug)]
pub struct Terminal {
    /// Draws nothing until `progress` shows it.
    pub bar: ProgressBar,
    /// What `progress` shows.
    pub display: Display,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// A bar, on a terminal.
    Bar,
    /// Log lines, elsewhere.
    Lines,
}

impl Terminal {
    /// Shows progress in this way.
    pub fn new(display: Display) -> Self {
        Self { bar: ProgressBar::hidden(), display }
    }

    /// A bar where standard error is a terminal.
    pub fn of_stderr() -> Self {
        Self::new(if io::stderr().is_terminal() { Display::Bar } else { Display::Lines })
    }
}

impl Write for Terminal {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.bar.suspend(|| io::stderr().write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl MakeWriter<'_> for Terminal {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_from_before_the_file_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = LogFile::default();
        log.write_all(b"early\n").unwrap();
        log.attach(&path).unwrap();
        log.write_all(b"late\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "early\nlate\n");
    }
}
