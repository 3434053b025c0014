//! The data sets that are published as four IDX files: their mirrors and checksums.
//!
//! Read by [`super::load()`] and [`super::download`]. Constants only.

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

    /// The usual name of its file, without `.gz`.
    pub fn file_name(self) -> &'static str {
        match self {
            Part::TrainImages => "train-images-idx3-ubyte",
            Part::TrainLabels => "train-labels-idx1-ubyte",
            Part::TestImages => "t10k-images-idx3-ubyte",
            Part::TestLabels => "t10k-labels-idx1-ubyte",
        }
    }
}

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
    /// Checksums of the training images, training labels, test images and test labels.
    checksums: [Checksum; 4],
}

impl Published {
    /// What a downloaded part is checked against.
    pub fn checksum(&self, part: Part) -> Checksum {
        self.checksums[part as usize]
    }
}

use Checksum::{ArchiveMd5, ContentSha256};

/// Handwritten digits (LeCun, Cortes and Burges).
pub static MNIST: Published = Published {
    name: "mnist",
    mirrors: &[
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ],
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
    checksums: [
        ArchiveMd5("bdb82020997e1d708af4cf47b453dcf7"),
        ArchiveMd5("e144d726b3acfaa3e44228e80efcd344"),
        ArchiveMd5("5c965bf0a639b31b8f53240b1b52f4d7"),
        ArchiveMd5("7320c461ea6c1c855c0b718fb2a4b134"),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_checksums_are_well_formed() {
        for published in [&MNIST, &FASHION_MNIST, &KMNIST] {
            assert!(published.mirrors.iter().all(|mirror| mirror.ends_with('/')));
            for checksum in published.checksums {
                let (digits, length) = match checksum {
                    ContentSha256(digits) => (digits, 64),
                    ArchiveMd5(digits) => (digits, 32),
                };
                assert_eq!(digits.len(), length);
                assert!(digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
            }
        }
    }
}
