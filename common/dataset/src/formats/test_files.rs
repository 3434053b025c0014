//! Files that the formats' tests read: those that other tools wrote, and some made on the spot.

use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;

/// A file that `tests/data/make.py` wrote.
pub fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// The pixels that it writes, and of which its files begin.
pub fn pixels(count: usize) -> Vec<u8> {
    (0..count).map(|index| (index % 251) as u8).collect()
}

/// A folder of these files.
pub fn folder_with(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).expect("write");
    }
    folder
}

/// A folder of files that `tests/data/make.py` wrote, under other names.
pub fn folder_of(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = folder_with(&[]);
    for (from, name) in files {
        std::fs::copy(data(from), folder.path().join(name)).expect("copy");
    }
    folder
}

/// Compressed with gzip.
pub fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}
