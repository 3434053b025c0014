//! Reading `events.jsonl`, and what a crash may have left of its last line.

use std::path::Path;

use anyhow::Result;

use super::ledger::Line;
use super::line_log;
pub use super::line_log::cut_torn_line;

/// All lines of a file; one that is not there has none.
///
/// # Errors
/// It cannot be read, or a line cannot be understood.
pub fn read(path: &Path) -> Result<Vec<Line>> {
    line_log::read(path)
}
