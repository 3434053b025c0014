//! Which tensors of a file are the network's, and a list of all that does not match.
//!
//! A file may nest its state dict (`{"epoch": 3, "model": …}`) and prefix its names (`module.`, from
//! DataParallel): the prefix under which most of the network's names are found is the state dict.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use common::architecture::{TensorKind, TensorSpec};

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

/// The file's tensor for each of `specs`, in their order. `None` stands for a counter, where the file has none at all; an
/// absent `center` is left out.
///
/// # Errors
/// Everything that does not match.
pub fn choose(
    entries: Vec<Entry>,
    specs: &[TensorSpec],
) -> Result<Vec<(&TensorSpec, Option<Entry>)>, Mismatch> {
    let prefix = common_prefix(&entries, specs);
    let under_prefix = entries.into_iter().filter_map(|entry| {
        let name = entry.name.strip_prefix(&prefix)?.to_string();
        Some((name, entry))
    });
    let mut found: HashMap<String, Entry> = under_prefix.collect();
    let mut mismatch = Mismatch::default();
    let counts =
        specs.iter().any(|spec| spec.kind == TensorKind::Counter && found.contains_key(&spec.name));
    let mut chosen = Vec::with_capacity(specs.len());
    for spec in specs {
        match (found.remove(&spec.name), spec.kind) {
            (Some(entry), _) => {
                mismatch.different.extend(difference(spec, &entry));
                chosen.push((spec, Some(entry)));
            }
            (None, TensorKind::Counter) if !counts => chosen.push((spec, None)),
            (None, TensorKind::Center) => {}
            (None, _) => mismatch.missing.push(format!("{} {:?}", spec.name, spec.shape)),
        }
    }
    mismatch.unexpected =
        found.values().map(|entry| format!("{} {:?}", entry.name, entry.shape)).collect();
    mismatch.unexpected.sort();
    if mismatch == Mismatch::default() { Ok(chosen) } else { Err(mismatch) }
}

/// What stands before the network's names in the file; nothing where none of them is found.
fn common_prefix(entries: &[Entry], specs: &[TensorSpec]) -> String {
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in entries {
        for spec in specs {
            let prefix = entry.name.strip_suffix(spec.name.as_str());
            if let Some(prefix) = prefix.filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
            {
                *found.entry(prefix).or_default() += 1;
            }
        }
    }
    let best = found.iter().rev().max_by_key(|(_, count)| **count);
    best.map(|(prefix, _)| (*prefix).to_string()).unwrap_or_default()
}

fn difference(spec: &TensorSpec, entry: &Entry) -> Option<String> {
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
