//! What stands under one prefix of a file, compared with the network.
//!
//! `matching` has it made for every prefix in question, and takes one.

use std::collections::{HashMap, HashSet};
use std::io;

use common::architecture::{CENTER, TensorKind, TensorSpec};

use super::centers::{self, Centers};
use super::entry::Entry;
use super::matching::{Choice, ChoiceError, Names};
use super::mismatch::{Mismatch, difference};

/// What stands under a prefix, compared with the network.
pub struct Judged<'a> {
    /// The prefix, with its dot.
    pub prefix: &'a str,
    /// Everything that differs.
    pub mismatch: Mismatch,
    tensors: Vec<(&'a TensorSpec, Option<&'a Entry>)>,
    center: Option<&'a TensorSpec>,
    centers: Centers<'a>,
}

impl<'a> Judged<'a> {
    /// Compares. What is under another of the prefixes that have all parameters, further in, is not looked at.
    pub fn of(
        names: &Names<'a>,
        prefix: &'a str,
        complete: &[&str],
        specs: &'a [TensorSpec],
    ) -> Self {
        let (center, known): (Vec<_>, Vec<_>) =
            specs.iter().partition(|spec| spec.kind == TensorKind::Center);
        let center = center.first().copied();
        let centers = center.map(|spec| Centers::of(names, prefix, complete, spec));
        let centers = centers.unwrap_or_default();
        let mut judged =
            Self { prefix, mismatch: Mismatch::default(), tensors: Vec::new(), center, centers };
        let deeper = |name: &str| {
            let mut others = complete.iter().filter(|other| other.len() > prefix.len());
            others.any(|other| name.starts_with(*other))
        };
        let entries = names.under(prefix).filter(|entry| !deeper(&entry.name));
        let found = judged.sort(entries, &known);
        judged.take(found, &known);
        judged
    }

    /// The entries that have the network's names, of all that stand under the prefix.
    fn sort(
        &mut self,
        entries: impl Iterator<Item = &'a Entry>,
        known: &[&TensorSpec],
    ) -> HashMap<&'a str, &'a Entry> {
        let known: HashSet<&str> = known.iter().map(|spec| spec.name.as_str()).collect();
        let mut found = HashMap::new();
        for entry in entries {
            let name = &entry.name[self.prefix.len()..];
            let is_fit = self.center.is_some_and(|spec| centers::is_fit(entry, spec));
            if known.contains(name) {
                if found.insert(name, entry).is_some() {
                    let twice = format!("{name}: stands in the file more than once");
                    self.mismatch.different.push(twice);
                }
            } else if name == CENTER && !is_fit {
                let difference = self.center.and_then(|spec| difference(spec, entry));
                self.mismatch.different.extend(difference);
            } else if !(is_fit && centers::is_name(name)) {
                self.mismatch.unexpected.push(format!("{} {:?}", entry.name, entry.shape));
            }
        }
        found
    }

    /// Takes the entry of each of the network's names but the centers.
    fn take(&mut self, mut found: HashMap<&str, &'a Entry>, known: &[&'a TensorSpec]) {
        let mut counters = known.iter().filter(|spec| spec.kind == TensorKind::Counter);
        let counts = counters.any(|spec| found.contains_key(spec.name.as_str()));
        for spec in known {
            match (found.remove(spec.name.as_str()), spec.kind) {
                (Some(entry), _) => {
                    self.mismatch.different.extend(difference(spec, entry));
                    self.tensors.push((spec, Some(entry)));
                }
                (None, TensorKind::Counter) if !counts => self.tensors.push((spec, None)),
                (None, _) => self.mismatch.missing.push(format!("{} {:?}", spec.name, spec.shape)),
            }
        }
    }

    /// Whether a run begins alike with another that fits.
    ///
    /// # Errors
    /// A tensor cannot be read.
    pub fn equals(&self, other: &Self) -> io::Result<bool> {
        let all = |judged: &Self| -> io::Result<Option<Vec<Option<&'a Entry>>>> {
            let tensors = judged.tensors.iter().map(|(_, entry)| *entry);
            let centers = judged.centers.only()?.ok();
            Ok(centers.map(|centers| tensors.chain([centers]).collect()))
        };
        let (Some(one), Some(other)) = (all(self)?, all(other)?) else { return Ok(false) };
        for pair in one.into_iter().zip(other) {
            let is_same = match pair {
                (Some(one), Some(other)) => one.equals(other)?,
                (one, other) => one.is_none() && other.is_none(),
            };
            if !is_same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The network's tensors, with the centers. `same` are prefixes under which the same stands.
    ///
    /// # Errors
    /// It is not clear which are the centers.
    pub fn choose(mut self, same: Vec<String>) -> Result<Choice<'a>, ChoiceError> {
        let centers = self.centers.only()?.map_err(|names| ChoiceError::Centers { names })?;
        self.tensors.extend(self.center.zip(centers).map(|(spec, entry)| (spec, Some(entry))));
        let same = same.into_iter();
        let same = same.map(|prefix| format!("what it holds under `{prefix}` is the same"));
        let shape = self.center.map(|spec| spec.shape.as_slice()).unwrap_or_default();
        let unfit = self.centers.unfit.iter();
        let unfit = unfit
            .map(|tensor| format!("{tensor} is not taken for the centers, which are {shape:?}"));
        let notes = same.chain(unfit).collect();
        Ok(Choice { prefix: self.prefix.to_string(), tensors: self.tensors, notes })
    }
}

impl From<Judged<'_>> for ChoiceError {
    fn from(judged: Judged<'_>) -> Self {
        let place = match judged.prefix {
            "" => String::new(),
            prefix => format!(" under `{prefix}`"),
        };
        Self::Mismatch { place, mismatch: judged.mismatch }
    }
}
