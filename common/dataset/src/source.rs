//! What `--dataset` names: a known data set, a folder, or files.
//!
//! Parsed by the coordinator before anything starts. Looks at no file; [`super::load()`] does.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::error::DatasetError;
use super::formats::cifar::Variant;
use super::formats::emnist::Division;
use super::names::nearest;
use super::published::{FASHION_MNIST, KMNIST, MNIST, Published, QMNIST};

/// Where a run's samples come from.
#[derive(Clone, Debug, PartialEq)]
pub enum DatasetSource {
    /// MNIST where it is here or can be downloaded, otherwise the synthetic digits, with a warning.
    Auto,
    /// One of the data sets that are published as four files, downloaded where it is not here.
    Published(&'static Published),
    /// CIFAR-10 or CIFAR-100, downloaded where it is not here.
    Cifar(Variant),
    /// A division of EMNIST: of the folder or archive that is given, otherwise downloaded where it is not here.
    Emnist(Division, Option<PathBuf>),
    /// Digits drawn by the program itself.
    Synthetic,
    /// A folder that holds a data set under usual names, or an archive of one.
    Folder(PathBuf),
    /// Files by path.
    Files {
        /// Images and labels to train on.
        train: [PathBuf; 2],
        /// Images and labels to test on.
        test: Option<[PathBuf; 2]>,
    },
}

/// Endings of files that hold a whole data set, which no name has.
const ARCHIVES: [&str; 5] = [".npz", ".zip", ".tar.gz", ".tgz", ".tar"];

impl DatasetSource {
    /// A name fit for a folder: lower-case letters, digits, `-` and `_`.
    pub fn name(&self) -> String {
        match self {
            DatasetSource::Auto => MNIST.name.to_owned(),
            DatasetSource::Published(published) => published.name.to_owned(),
            DatasetSource::Cifar(variant) => variant.name().to_owned(),
            DatasetSource::Emnist(division, _) => division.name().to_owned(),
            DatasetSource::Synthetic => "synthetic".to_owned(),
            DatasetSource::Folder(folder) => plain_name(folder),
            DatasetSource::Files { train: [images, _], .. } => plain_name(images),
        }
    }
}

impl FromStr for DatasetSource {
    type Err = DatasetError;

    fn from_str(text: &str) -> Result<Self, DatasetError> {
        if text.contains(',') {
            return file_list(text);
        }
        if let Some((name, path)) = text.split_once(':')
            && let Some(division) = Division::of_name(&plain(name))
        {
            let path = Some(path).filter(|path| !path.is_empty()).map(PathBuf::from);
            return Ok(DatasetSource::Emnist(division, path));
        }
        let is_archive = || ARCHIVES.iter().any(|ending| text.ends_with(ending));
        if text.contains(['/', '\\']) || text.starts_with('.') || is_archive() {
            return Ok(DatasetSource::Folder(text.into()));
        }
        let name = plain(text);
        if let Some(division) = Division::of_name(&name) {
            return Ok(DatasetSource::Emnist(division, None));
        }
        match name.as_str() {
            "auto" => Ok(DatasetSource::Auto),
            "mnist" => Ok(DatasetSource::Published(&MNIST)),
            "fashion-mnist" => Ok(DatasetSource::Published(&FASHION_MNIST)),
            "kmnist" => Ok(DatasetSource::Published(&KMNIST)),
            "qmnist" => Ok(DatasetSource::Published(&QMNIST)),
            "cifar-10" => Ok(DatasetSource::Cifar(Variant::Ten)),
            "cifar-100" => Ok(DatasetSource::Cifar(Variant::Hundred)),
            "emnist" => {
                Err(DatasetError::WhichDivision { place: None, divisions: Division::ALL.to_vec() })
            }
            "synthetic" => Ok(DatasetSource::Synthetic),
            other => Err(DatasetError::UnknownName {
                given: text.to_owned(),
                suggestion: nearest(other),
            }),
        }
    }
}

/// A name as it is looked up.
fn plain(name: &str) -> String {
    name.to_lowercase().replace('_', "-")
}

fn file_list(text: &str) -> Result<DatasetSource, DatasetError> {
    let paths: Vec<&str> = text.split(',').map(str::trim).collect();
    let pair = |images: &str, labels: &str| [PathBuf::from(images), PathBuf::from(labels)];
    match paths[..] {
        _ if paths.contains(&"") => Err(DatasetError::FileList { given: text.to_owned() }),
        [images, labels] => Ok(DatasetSource::Files { train: pair(images, labels), test: None }),
        [images, labels, test_images, test_labels] => Ok(DatasetSource::Files {
            train: pair(images, labels),
            test: Some(pair(test_images, test_labels)),
        }),
        _ => Err(DatasetError::FileList { given: text.to_owned() }),
    }
}

/// The last part of a path up to its first dot, what is unfit for a folder's name replaced.
fn plain_name(path: &Path) -> String {
    let last =
        path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let fit = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    let stem = last.trim_start_matches('.').split('.').next().unwrap_or_default();
    let name: String = stem.chars().map(|letter| if fit(letter) { letter } else { '-' }).collect();
    if name.is_empty() { "custom".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_and_paths() {
        let files = |train: [&str; 2], test: Option<[&str; 2]>| DatasetSource::Files {
            train: train.map(PathBuf::from),
            test: test.map(|pair| pair.map(PathBuf::from)),
        };
        let check = |text: &str, expected: DatasetSource, name: &str| {
            let source: DatasetSource = text.parse().expect("is valid");
            assert_eq!((source.name(), source), (name.to_owned(), expected), "{text}");
        };
        check("auto", DatasetSource::Auto, "mnist");
        check("MNIST", DatasetSource::Published(&MNIST), "mnist");
        check("fashion_mnist", DatasetSource::Published(&FASHION_MNIST), "fashion-mnist");
        check("kmnist", DatasetSource::Published(&KMNIST), "kmnist");
        check("qmnist", DatasetSource::Published(&QMNIST), "qmnist");
        check("synthetic", DatasetSource::Synthetic, "synthetic");
        check("CIFAR_10", DatasetSource::Cifar(Variant::Ten), "cifar-10");
        check("cifar-100", DatasetSource::Cifar(Variant::Hundred), "cifar-100");
        let letters =
            |path: Option<&str>| DatasetSource::Emnist(Division::Letters, path.map(PathBuf::from));
        check("emnist_letters", letters(None), "emnist-letters");
        check("emnist-letters:../a:b", letters(Some("../a:b")), "emnist-letters");
        check("c:/data", DatasetSource::Folder("c:/data".into()), "data");
        check("./mnist", DatasetSource::Folder("./mnist".into()), "mnist");
        check("/data/My digits/", DatasetSource::Folder("/data/My digits/".into()), "my-digits");
        check(".", DatasetSource::Folder(".".into()), "custom");
        check("mnist.npz", DatasetSource::Folder("mnist.npz".into()), "mnist");
        check("a.idx.gz, b", files(["a.idx.gz", "b"], None), "a");
        check("a,b,c,d", files(["a", "b"], Some(["c", "d"])), "a");
    }

    #[test]
    fn a_misspelt_name_is_told_the_nearest() {
        let check = |text: &str, expected: Option<&str>| match text.parse::<DatasetSource>() {
            Err(DatasetError::UnknownName { suggestion, .. }) => {
                assert_eq!(suggestion, expected, "{text}")
            }
            other => panic!("{text}: {other:?}"),
        };
        check("minst", Some("mnist"));
        check("fashionmnist", Some("fashion-mnist"));
        check("synthetics", Some("synthetic"));
        check("cifar10", Some("cifar-10"));
        check("emnist-leters", Some("emnist-letters"));
        check("imagenet", None);
        check("", None);
        let message = "minst".parse::<DatasetSource>().unwrap_err().to_string();
        assert!(
            message.contains("did you mean `mnist`?") && message.contains("./minst"),
            "{message}"
        );
    }

    #[test]
    fn emnist_alone_is_told_its_divisions() {
        let message = "emnist".parse::<DatasetSource>().unwrap_err().to_string();
        assert!(message.contains("emnist-letters") && message.contains("byclass"), "{message}");
    }

    #[test]
    fn a_list_has_two_or_four_files() {
        for text in ["a,", "a,b,c", "a,b,c,d,e", ",,,"] {
            assert!(
                matches!(text.parse::<DatasetSource>(), Err(DatasetError::FileList { .. })),
                "{text}"
            );
        }
    }
}
