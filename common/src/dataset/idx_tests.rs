//! Tests of [`super`]: what is read, what is refused, and what is said then.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn folder_with(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).expect("write");
    }
    folder
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

fn two_images() -> Vec<u8> {
    encode_images(&(0..2 * IMAGE_PIXELS).map(|i| (i % 251) as u8).collect::<Vec<_>>())
}

#[test]
fn plain_and_compressed_are_told_apart_by_content() {
    let (images, labels) = (two_images(), encode_labels(&[3, 9]));
    let folder = folder_with(&[
        ("plain", &images),
        ("plain-called.gz", &images),
        ("compressed", &compress(&images)),
        ("labels", &compress(&labels)),
    ]);
    for name in ["plain", "plain-called.gz", "compressed"] {
        assert_eq!(read_images(&folder.path().join(name)).unwrap(), images[16..], "{name}");
    }
    assert_eq!(read_labels(&folder.path().join("labels")).unwrap(), [3, 9]);
}

/// Reads a file of these bytes, plain and compressed, and expects the same refusal, naming the file.
fn refused(kind: Kind, bytes: &[u8], words: &str) {
    let folder = folder_with(&[("plain", bytes), ("compressed", &compress(bytes))]);
    for name in ["plain", "compressed"] {
        let path = folder.path().join(name);
        let read = match kind {
            Kind::Images => read_images(&path),
            Kind::Labels => read_labels(&path),
        };
        let message = read.expect_err(words).to_string();
        assert!(message.contains(words), "{name}: {message}");
        assert!(message.starts_with(&path.display().to_string()), "{message}");
    }
}

#[test]
fn what_is_not_exactly_right_is_refused() {
    let (images, labels) = (two_images(), encode_labels(&[3, 9]));
    let with_size = |size: [u32; 3]| encode(Kind::Images, &size, &images[16..]);
    refused(Kind::Images, &images[..images.len() - 1], "1584 bytes expected, 1583 found");
    refused(Kind::Images, &images[..16], "1584 bytes expected, 16 found");
    refused(Kind::Images, &images[..9], "16 bytes expected, 9 found");
    refused(Kind::Images, &[], "16 bytes expected, 0 found");
    refused(Kind::Labels, &labels[..9], "10 bytes expected, 9 found");
    refused(Kind::Images, &[&images[..], &[0]].concat(), "after the 1584 bytes");
    refused(Kind::Labels, &[&labels[..], &[0]].concat(), "after the 10 bytes");
    refused(Kind::Images, &labels, "holds labels where images are expected");
    refused(Kind::Labels, &images, "holds images where labels are expected");
    refused(Kind::Images, b"\x89PNG\r\n\x1a\n", "[89, 50, 4e, 47] instead of [00, 00, 08, 03]");
    refused(Kind::Images, &with_size([2, 28, 27]), "28×27 pixels");
    refused(Kind::Images, &with_size([0, 28, 28]), "holds no images");
    refused(Kind::Labels, &encode_labels(&[0, 9, 10, 11]), "label 2 (counted from 0) is 10");
    // A header that promises three terabytes takes no memory.
    refused(
        Kind::Images,
        &with_size([u32::MAX, 28, 28]),
        "3367254359296 bytes expected, 1584 found",
    );
    refused(Kind::Images, &with_size([u32::MAX; 3]), "4294967295×4294967295 pixels");
}

#[test]
fn damaged_compression_is_refused() {
    let compressed = compress(&two_images());
    let mut flipped = compressed.clone();
    let check = flipped.len() - 6;
    flipped[check] ^= 1;
    let folder =
        folder_with(&[("cut", &compressed[..compressed.len() / 2]), ("flipped", &flipped)]);
    for name in ["cut", "flipped"] {
        let error = read_images(&folder.path().join(name)).unwrap_err();
        assert!(matches!(error.problem, IdxProblem::Compression(_)), "{error}");
    }
}

#[test]
fn files_must_exist() {
    let folder = folder_with(&[]);
    for missing in [folder.path().join("none"), folder.path().to_owned()] {
        let error = read_images(&missing).unwrap_err();
        assert!(matches!(error.problem, IdxProblem::Unreadable(_)), "{error}");
    }
}
