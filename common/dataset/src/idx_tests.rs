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
    encode_images(&(0..2 * DataShape::MNIST.numbers()).map(|i| (i % 251) as u8).collect::<Vec<_>>())
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
    refused(Kind::Images, &[0, 0], "16 bytes expected, 2 found");
    refused(Kind::Labels, &labels[..9], "10 bytes expected, 9 found");
    refused(Kind::Images, &[&images[..], &[0]].concat(), "after the 1584 bytes");
    refused(Kind::Labels, &[&labels[..], &[0]].concat(), "after the 10 bytes");
    refused(Kind::Images, &labels, "holds labels where images are expected");
    refused(Kind::Labels, &images, "holds images where labels are expected");
    refused(Kind::Images, b"magic\n", "[6d, 61, 67, 69] instead of [00, 00, 08, 03]");
    refused(Kind::Images, &with_size([2, 28, 27]), "28×27 pixels");
    refused(Kind::Images, &with_size([0, 28, 28]), "holds no images");
    refused(Kind::Labels, &encode_labels(&[0, 9, 10, 11]), "label 2 (counted from 0) is 10");
    refused(Kind::Labels, &encode_labels(&[1, 10, 5]), "from 1 to 10 (3 classes)");
    refused(Kind::Labels, &encode_labels(&[1, 10, 5]), "subtract 1 from each");
    refused(Kind::Labels, &encode_labels(&[1, 26, 26]), "choose a file of ten classes");
    // A header that promises three terabytes takes no memory.
    refused(
        Kind::Images,
        &with_size([u32::MAX, 28, 28]),
        "3367254359296 bytes expected, 1584 found",
    );
    refused(Kind::Images, &with_size([u32::MAX; 3]), "4294967295×4294967295 pixels");
}

/// An IDX file of another kind.
fn other_idx(element: u8, sizes: &[u32], data: usize) -> Vec<u8> {
    let mut file = vec![0, 0, element, sizes.len() as u8];
    file.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    file.extend(vec![0; data]);
    file
}

#[test]
fn another_file_is_named_as_what_it_is() {
    let images = |file: &[u8], words: &str| refused(Kind::Images, file, words);
    let labels = |file: &[u8], words: &str| refused(Kind::Labels, file, words);
    images(&other_idx(0x0d, &[2, 28, 28], 6272), "32-bit floating-point numbers of 3 dimensions");
    images(&other_idx(8, &[2, 28, 28, 1], 1568), "of 4 dimensions [2, 28, 28, 1]; unsigned bytes");
    images(&other_idx(8, &[2, 784], 1568), "of 2 dimensions [2, 784]");
    labels(&other_idx(0x0c, &[3], 12), "32-bit integers of 1 dimensions [3]");
    labels(&other_idx(8, &[3, 10], 30), "unsigned bytes of 2 dimensions [3, 10]");
    labels(&other_idx(0x77, &[3], 3), "unknown type 0x77");
    let swapped = |file: Vec<u8>, header: usize| {
        let mut file = file;
        file[4..header].as_chunks_mut::<4>().0.iter_mut().for_each(|size| size.reverse());
        file
    };
    images(&swapped(two_images(), 16), "little-endian");
    labels(&swapped(encode_labels(&[3, 9, 1]), 8), "little-endian");
    labels(&[1, 8, 0, 0, 3, 0, 0, 0, 1, 2, 3], "little-endian");
    images(b"<!DOCTYPE html><html><body>404</body></html>", "web page");
    images(b"PK\x03\x04train-images-idx3-ubyte", "zip archive; unpack it");
    labels(b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull");
    images(b"", "is empty");
}

#[test]
fn compression_may_be_padded_with_zeros_and_in_members() {
    let images = two_images();
    let (first, second) = (compress(&images[..700]), compress(&images[700..]));
    let padded = [&first[..], &second, &[0; 20_000]].concat();
    let garbage = [&first[..], &second, b"\0\0garbage"].concat();
    let folder = folder_with(&[("padded", &padded), ("garbage", &garbage)]);
    assert_eq!(read_images(&folder.path().join("padded")).unwrap(), images[16..]);
    let error = read_images(&folder.path().join("garbage")).unwrap_err().to_string();
    assert!(error.contains("something else follows it"), "{error}");
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
    let error = read_images(&folder.path().join("none")).unwrap_err();
    assert!(matches!(error.problem, IdxProblem::Unreadable(_)), "{error}");
    let error = read_images(folder.path()).unwrap_err().to_string();
    assert!(error.contains("is a folder"), "{error}");
}
