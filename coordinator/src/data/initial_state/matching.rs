//! Which tensors of a file are the network's.
//!
//! A file may nest its state dict (`{"epoch": 3, "model": …}`), prefix its names (`module.`, from DataParallel) and hold
//! several (`model`, `ema`; momenta under the parameters' names). All prefixes under which the network's parameters are
//! found are looked at. One that fits is taken; of several the user chooses, unless they hold the same.

use std::collections::BTreeMap;
use std::io;

use common::architecture::{TensorKind, TensorSpec};

use super::entry::Entry;
use super::judged::Judged;
use super::mismatch::Mismatch;

/// The tensors of a file that are the network's.
#[derive(Debug)]
pub struct Choice<'a> {
    /// What stands before the network's names, with its dot.
    pub prefix: String,
    /// For each of the network's tensors, in its order, the file's. Nothing stands for a counter, where the file has
    /// none at all; centers that the file lacks are left out.
    pub tensors: Vec<(&'a TensorSpec, Option<&'a Entry>)>,
    /// What the user should know of it.
    pub notes: Vec<String>,
}

/// Why no tensors are taken; goes on from the file's name.
#[derive(Debug, thiserror::Error)]
pub enum ChoiceError {
    /// The nearest that the file has is not the network's.
    #[error("does not hold this network's state dict{place}:\n{mismatch}")]
    Mismatch {
        /// ` under …`, or nothing for names without a prefix.
        place: String,
        /// Everything that differs.
        mismatch: Mismatch,
    },
    /// Several state dicts fit and differ.
    #[error("holds several state dicts that fit this network, choose one:\n{}", flags(.prefixes))]
    Ambiguous {
        /// What stands before the names of each.
        prefixes: Vec<String>,
    },
    /// None is under the prefix that was asked for.
    #[error("has no tensors of this network under `{asked}`; it has them under:\n{}", flags(.prefixes))]
    NotThere {
        /// The prefix.
        asked: String,
        /// Where they are.
        prefixes: Vec<String>,
    },
    /// Several tensors may be the centers and differ.
    #[error("has several tensors that may be the centers: {}; keep one of them, or none, in the file", .names.join(", "))]
    Centers {
        /// Their names.
        names: Vec<String>,
    },
    /// The file cannot be read to its end.
    #[error("cannot be used: {0}")]
    Unreadable(#[from] io::Error),
}

/// Prefixes that a message lists.
const LISTED: usize = 20;

fn flags(prefixes: &[String]) -> String {
    let flag = |prefix: &String| match prefix.strip_suffix('.') {
        Some(prefix) => format!("  --init-prefix {prefix}\n"),
        None => "  --init-prefix ''   (names without a prefix)\n".to_string(),
    };
    prefixes.iter().take(LISTED).map(flag).collect()
}

/// A file's tensors by name.
#[derive(Debug)]
pub struct Names<'a>(BTreeMap<&'a str, Vec<&'a Entry>>);

impl<'a> Names<'a> {
    fn of(entries: &'a [Entry]) -> Self {
        let mut names: BTreeMap<_, Vec<_>> = BTreeMap::new();
        entries.iter().for_each(|entry| names.entry(entry.name.as_str()).or_default().push(entry));
        Self(names)
    }

    /// Those whose names start with `prefix`, in the order of names.
    pub fn under<'b>(&'b self, prefix: &'b str) -> impl Iterator<Item = &'a Entry> + use<'a, 'b> {
        let from = self.0.range(prefix..).take_while(move |(name, _)| name.starts_with(prefix));
        from.flat_map(|(_, entries)| entries.iter().copied())
    }
}

/// What stands before the network's names in a file.
struct Prefixes<'a> {
    /// Each, with how many of the network's names are found under it.
    all: BTreeMap<&'a str, usize>,
    /// Those under which all names of parameters are found.
    complete: Vec<&'a str>,
}

impl<'a> Prefixes<'a> {
    fn of(names: &Names<'a>, specs: &[TensorSpec]) -> Self {
        let mut all: BTreeMap<&str, usize> = BTreeMap::new();
        let mut parameters: BTreeMap<&str, usize> = BTreeMap::new();
        let is_parameter = |spec: &&TensorSpec| spec.kind == TensorKind::Parameter;
        let specs: Vec<_> = specs.iter().filter(|spec| spec.kind != TensorKind::Center).collect();
        for name in names.0.keys() {
            for spec in &specs {
                let prefix = name.strip_suffix(spec.name.as_str());
                if let Some(prefix) = prefix.filter(|p| p.is_empty() || p.ends_with('.')) {
                    *all.entry(prefix).or_default() += 1;
                    *parameters.entry(prefix).or_default() += usize::from(is_parameter(spec));
                }
            }
        }
        let count = specs.iter().copied().filter(is_parameter).count();
        let complete = parameters.into_iter().filter(|(_, found)| *found == count);
        Self { all, complete: complete.map(|(prefix, _)| prefix).collect() }
    }

    /// Those that the user means: all, where none was named; `asked` itself, else what is below it.
    fn meant(&self, asked: Option<&str>) -> Result<Self, ChoiceError> {
        let (all, complete) = (self.all.keys().copied().collect::<Vec<_>>(), &self.complete);
        let Some(asked) = asked.filter(|_| !all.is_empty()) else {
            return Ok(Self { all: self.all.clone(), complete: complete.clone() });
        };
        let meant = narrow(&all, asked);
        if meant.is_empty() {
            let known = if complete.is_empty() { &all } else { complete };
            let prefixes = known.iter().map(|prefix| prefix.to_string()).collect();
            return Err(ChoiceError::NotThere { asked: asked.to_string(), prefixes });
        }
        let all = meant.into_iter().map(|prefix| (prefix, self.all[prefix])).collect();
        Ok(Self { all, complete: narrow(complete, asked) })
    }

    /// The one under which most names are found.
    fn nearest(&self) -> &'a str {
        self.all
            .iter()
            .max_by_key(|(_, count)| **count)
            .map(|(prefix, _)| *prefix)
            .unwrap_or_default()
    }
}

/// `asked` with its dot, else what is below it.
fn narrow<'a>(prefixes: &[&'a str], asked: &str) -> Vec<&'a str> {
    let has_dot = asked.is_empty() || asked.ends_with('.');
    let below = if has_dot { asked.to_string() } else { format!("{asked}.") };
    match prefixes.iter().find(|prefix| **prefix == below) {
        Some(exact) => vec![exact],
        None => prefixes.iter().copied().filter(|prefix| prefix.starts_with(&below)).collect(),
    }
}

/// The file's tensors for `specs`: under the prefix that was asked for, or the only one under which they fit.
///
/// # Errors
/// None or several fit.
pub fn choose<'a>(
    entries: &'a [Entry],
    specs: &'a [TensorSpec],
    asked: Option<&str>,
) -> Result<Choice<'a>, ChoiceError> {
    let names = Names::of(entries);
    let prefixes = Prefixes::of(&names, specs);
    let meant = prefixes.meant(asked)?;
    let judge = |prefix| Judged::of(&names, prefix, &prefixes.complete, specs);
    let judged = meant.complete.iter().map(|prefix| judge(*prefix));
    let (mut fit, unfit): (Vec<_>, Vec<_>) =
        judged.partition(|judged| judged.mismatch == Mismatch::default());
    if fit.is_empty() {
        let nearest = unfit.into_iter().next();
        return Err(nearest.unwrap_or_else(|| judge(meant.nearest())).into());
    }
    let same = same(&fit)?;
    fit.swap_remove(0).choose(same)
}

/// The prefixes of all but the first, where they hold the same.
fn same(fit: &[Judged<'_>]) -> Result<Vec<String>, ChoiceError> {
    let [first, rest @ ..] = fit else { return Ok(Vec::new()) };
    for other in rest {
        if !first.equals(other)? {
            let prefixes = fit.iter().map(|judged| judged.prefix.to_string()).collect();
            return Err(ChoiceError::Ambiguous { prefixes });
        }
    }
    Ok(rest.iter().map(|judged| judged.prefix.to_string()).collect())
}
