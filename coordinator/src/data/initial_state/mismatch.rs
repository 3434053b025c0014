//! A list of all that does not match between a file and the network.

use std::fmt;

use common::architecture::TensorSpec;

use super::entry::Entry;

/// Lines of one kind that a message lists before it only counts them.
const LISTED: usize = 10;

/// What does not match, each entry a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Names that the network has and the file has not.
    pub missing: Vec<String>,
    /// Names that the file has and the network has not.
    pub unexpected: Vec<String>,
    /// Tensors of another shape or type.
    pub different: Vec<String>,
}

/// How a tensor differs from what the network has under its name.
pub fn difference(spec: &TensorSpec, entry: &Entry) -> Option<String> {
    // A scalar counter is stored as [] or [1], depending on the release.
    let is_same_scalar = spec.shape.is_empty() && entry.shape == [1];
    if entry.shape != spec.shape && !is_same_scalar {
        return Some(format!("{}: expected {:?}, found {:?}", spec.name, spec.shape, entry.shape));
    }
    (!entry.fits(spec.kind))
        .then(|| format!("{}: its type of number cannot be used ({entry:?})", spec.name))
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = [
            ("missing", &self.missing),
            ("unexpected", &self.unexpected),
            ("different shape", &self.different),
        ];
        for (title, lines) in groups.into_iter().filter(|(_, lines)| !lines.is_empty()) {
            writeln!(f, "  {title}:")?;
            for line in lines.iter().take(LISTED) {
                writeln!(f, "    {line}")?;
            }
            if lines.len() > LISTED {
                writeln!(f, "    … and {} more", lines.len() - LISTED)?;
            }
        }
        Ok(())
    }
}
