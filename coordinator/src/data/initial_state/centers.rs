//! Where a file has its class centers: in the state dict, beside it, or in a module of their own.
//!
//! The nearest to the network's tensors are taken: those under the same prefix, else those one level out, and so on.

use std::io;

use common::architecture::{TensorKind, TensorSpec};

use super::entry::Entry;
use super::matching::Names;

/// Names that centers have, after the last dot.
const CENTERS: [&str; 2] = ["center", "centers"];

/// The centers that belong to a state dict.
#[derive(Debug, Default)]
pub struct Centers<'a> {
    /// Those in question; several where the nearest level has several.
    pub found: Vec<&'a Entry>,
    /// Tensors of such a name but another shape, in words.
    pub unfit: Vec<String>,
}

/// Whether a name is that of centers.
pub fn is_name(name: &str) -> bool {
    CENTERS.contains(&name.rsplit('.').next().unwrap_or_default())
}

/// Whether a tensor can be the centers.
pub fn is_fit(entry: &Entry, spec: &TensorSpec) -> bool {
    entry.shape == spec.shape && entry.fits(TensorKind::Center)
}

impl<'a> Centers<'a> {
    /// Looks for the centers of the state dict under `prefix`. What lies under one of `others` belongs to another one.
    pub fn of(names: &Names<'a>, prefix: &str, others: &[&str], spec: &TensorSpec) -> Self {
        let is_others = |name: &str| {
            let mut others = others.iter().filter(|other| !prefix.starts_with(**other));
            others.any(|other| name.starts_with(*other))
        };
        let mut unfit = Vec::new();
        for level in levels(prefix) {
            let near =
                names.under(level).filter(|entry| is_name(&entry.name) && !is_others(&entry.name));
            let (fit, other): (Vec<_>, Vec<_>) = near.partition(|entry| is_fit(entry, spec));
            let (direct, deeper): (Vec<_>, Vec<_>) =
                fit.into_iter().partition(|entry| !entry.name[level.len()..].contains('.'));
            let found = if direct.is_empty() { deeper } else { direct };
            if !found.is_empty() {
                return Self { found, unfit: Vec::new() };
            }
            // The outermost level has seen all.
            unfit = other.iter().map(|entry| format!("{} {:?}", entry.name, entry.shape)).collect();
        }
        Self { found: Vec::new(), unfit }
    }

    /// The one that is taken, if there is any.
    ///
    /// # Errors
    /// Several differ: their names. Or one of them cannot be read.
    pub fn only(&self) -> io::Result<Result<Option<&'a Entry>, Vec<String>>> {
        let [first, rest @ ..] = self.found.as_slice() else { return Ok(Ok(None)) };
        for other in rest {
            if !first.equals(other)? {
                return Ok(Err(self.found.iter().map(|entry| entry.name.clone()).collect()));
            }
        }
        Ok(Ok(Some(first)))
    }
}

/// `a.b.` → `a.b.`, `a.`, and nothing.
fn levels(prefix: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(prefix), |level| {
        let above = level.strip_suffix('.')?;
        Some(&above[..above.rfind('.').map_or(0, |dot| dot + 1)])
    })
}
