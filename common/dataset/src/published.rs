//! The data sets that can be downloaded: their mirrors and checksums. Most are four IDX files, some one archive.
//!
//! Read by [`super::load()`], [`super::known`] and [`super::download`]. Constants only.

use super::formats::cifar::Variant;

/// One of the four files of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Images to train on.
    TrainImages,
    /// Their labels.
    TrainLabels,
    /// Images to test on.
    TestImages,
    /// Their labels.
    TestLabels,
}

impl Part {
    /// All, those to train on first.
    pub const ALL: [Part; 4] =
        [Part::TrainImages, Part::TrainLabels, Part::TestImages, Part::TestLabels];
}

/// Usual names, without `.gz`, in the order of [`Part::ALL`].
pub const MNIST_FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// QMNIST's own names, in the order of [`Part::ALL`].
pub const QMNIST_FILES: [&str; 4] = [
    "qmnist-train-images-idx3-ubyte",
    "qmnist-train-labels-idx2-int",
    "qmnist-test-images-idx3-ubyte",
    "qmnist-test-labels-idx2-int",
];

/// What a downloaded file is checked against, in lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-256 of the uncompressed file.
    ContentSha256(&'static str),
    /// MD5 of the `.gz` file, where nothing better was published.
    ArchiveMd5(&'static str),
}

impl Checksum {
    /// Its digits.
    pub fn digits(self) -> &'static str {
        match self {
            ContentSha256(digits) | ArchiveMd5(digits) => digits,
        }
    }
}

/// A data set that mirrors serve.
#[derive(Debug, PartialEq)]
pub struct Published {
    /// Its name on the command line, and of its folder.
    pub name: &'static str,
    /// Addresses that serve its files, each ending in `/`, the first to be tried first.
    pub mirrors: &'static [&'static str],
    /// Names of its files, without `.gz`, in the order of [`Part::ALL`].
    pub files: &'static [&'static str; 4],
    /// Names of its classes.
    pub class_names: [&'static str; 10],
    /// Checksums of the training images, training labels, test images and test labels.
    checksums: [Checksum; 4],
}

impl Published {
    /// What a downloaded part is checked against.
    pub fn checksum(&self, part: Part) -> Checksum {
        self.checksums[part as usize]
    }

    /// The name of a part's file, without `.gz`.
    pub fn file_name(&self, part: Part) -> &'static str {
        self.files[part as usize]
    }
}

/// A data set that mirrors serve as one archive.
#[derive(Debug, PartialEq)]
pub struct PublishedArchive {
    /// The archive's name, on the mirrors and in the set's folder.
    pub file: &'static str,
    /// Addresses that serve it, each ending in `/`, the first to be tried first.
    pub mirrors: &'static [&'static str],
    /// What it is checked against.
    pub checksum: Checksum,
    /// The most bytes that are fetched: a good deal more than it has.
    pub largest: u64,
}

const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

use Checksum::{ArchiveMd5, ContentSha256};

/// Handwritten digits (LeCun, Cortes and Burges).
pub static MNIST: Published = Published {
    name: "mnist",
    mirrors: &[
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ],
    files: &MNIST_FILES,
    class_names: DIGITS,
    checksums: [
        ContentSha256("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        ContentSha256("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        ContentSha256("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        ContentSha256("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ],
};

/// Pictures of clothes (Xiao, Rasul and Vollgraf, 2017); checksums from its README.
pub static FASHION_MNIST: Published = Published {
    name: "fashion-mnist",
    mirrors: &[
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ],
    files: &MNIST_FILES,
    class_names: [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ],
    checksums: [
        ArchiveMd5("8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ArchiveMd5("25c81989df183df01b3e8a0aad5dffbe"),
        ArchiveMd5("bef4ecab320f06d8554ea6380940ec79"),
        ArchiveMd5("bb300cfdad3c16e7a12a480ee83cd310"),
    ],
};

/// Cursive Japanese characters (Clanuwat et al., 2018); checksums as torchvision has them.
pub static KMNIST: Published = Published {
    name: "kmnist",
    mirrors: &["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"],
    files: &MNIST_FILES,
    class_names: ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
    checksums: [
        ArchiveMd5("bdb82020997e1d708af4cf47b453dcf7"),
        ArchiveMd5("e144d726b3acfaa3e44228e80efcd344"),
        ArchiveMd5("5c965bf0a639b31b8f53240b1b52f4d7"),
        ArchiveMd5("7320c461ea6c1c855c0b718fb2a4b134"),
    ],
};

/// MNIST made anew, with all 60,000 samples to test on (Yadav and Bottou, 2019); checksums as torchvision has them.
pub static QMNIST: Published = Published {
    name: "qmnist",
    mirrors: &["https://raw.githubusercontent.com/facebookresearch/qmnist/master/"],
    files: &QMNIST_FILES,
    class_names: DIGITS,
    checksums: [
        ArchiveMd5("ed72d4157d28c017586c42bc6afe6370"),
        ArchiveMd5("0058f8dd561b90ffdd0f734c6a30e5e4"),
        ArchiveMd5("1394631089c404de565df7b7aeaf9412"),
        ArchiveMd5("5b5b05890a5e13444e108efe57b788aa"),
    ],
};

/// All that are four files.
pub static FOUR_FILES: [&Published; 4] = [&MNIST, &FASHION_MNIST, &KMNIST, &QMNIST];

/// All divisions of EMNIST; the checksum as torchvision has it.
pub static EMNIST: PublishedArchive = PublishedArchive {
    file: "gzip.zip",
    mirrors: &["https://biometrics.nist.gov/cs_links/EMNIST/"],
    checksum: ArchiveMd5("58c8d27c78d21e728a6bc7b3cc06412e"),
    largest: 1_000_000_000,
};

/// CIFAR-10; the checksum from its page.
static CIFAR_10: PublishedArchive = PublishedArchive {
    file: "cifar-10-binary.tar.gz",
    mirrors: &["https://www.cs.toronto.edu/~kriz/"],
    checksum: ArchiveMd5("c32a1d4ab5d03f1284b67883e8d87530"),
    largest: 400_000_000,
};

/// CIFAR-100; the checksum from its page.
static CIFAR_100: PublishedArchive = PublishedArchive {
    file: "cifar-100-binary.tar.gz",
    mirrors: &["https://www.cs.toronto.edu/~kriz/"],
    checksum: ArchiveMd5("03b5dce01913d631647c71ecec9e9cb8"),
    largest: 400_000_000,
};

/// CIFAR as it is published.
pub fn cifar(variant: Variant) -> &'static PublishedArchive {
    match variant {
        Variant::Ten => &CIFAR_10,
        Variant::Hundred => &CIFAR_100,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_checksums_are_well_formed() {
        let archives = [&EMNIST, &CIFAR_10, &CIFAR_100];
        let sets = FOUR_FILES.map(|set| (set.mirrors, set.checksums.to_vec()));
        let sets = sets.into_iter().chain(archives.map(|set| (set.mirrors, vec![set.checksum])));
        for (mirrors, checksums) in sets {
            assert!(mirrors.iter().all(|mirror| mirror.ends_with('/')));
            for checksum in checksums {
                let (digits, length) = match checksum {
                    ContentSha256(digits) => (digits, 64),
                    ArchiveMd5(digits) => (digits, 32),
                };
                assert_eq!(digits.len(), length);
                assert!(digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
            }
        }
    }

    #[test]
    fn archives_lie_where_they_are_looked_for() {
        for variant in [Variant::Ten, Variant::Hundred] {
            assert_eq!(cifar(variant).file, variant.archive());
        }
    }
}
