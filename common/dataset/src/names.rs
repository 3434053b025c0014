//! The names that `--dataset` knows, and the one that was meant.
//!
//! [`super::source`] looks a misspelt name up here, [`super::error`] lists them all.

/// Every name `--dataset` knows.
pub const NAMES: [&str; 14] = [
    "auto",
    "mnist",
    "fashion-mnist",
    "kmnist",
    "qmnist",
    "emnist-balanced",
    "emnist-byclass",
    "emnist-bymerge",
    "emnist-digits",
    "emnist-letters",
    "emnist-mnist",
    "cifar-10",
    "cifar-100",
    "synthetic",
];

/// The known name that is nearest to a given one, if one is near.
pub fn nearest(given: &str) -> Option<&'static str> {
    NAMES
        .iter()
        .map(|&name| (strsim::normalized_damerau_levenshtein(given, name), name))
        .filter(|&(likeness, _)| likeness >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
