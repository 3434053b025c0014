//! Tests of [`super`]: what is read, what is refused, and what is said then.

use std::path::Path;

use super::*;
use crate::formats::test_files::{compress, data, folder_with, pixels};
use crate::formats::{Images, Reading, pair};

fn read_images(path: &Path) -> Result<Images, crate::formats::problem::FileError> {
    pair::read_images(path, &Reading::default())
}

fn read_labels(path: &Path) -> Result<Vec<u16>, crate::formats::problem::FileError> {
    pair::read_labels(path, &Reading::default())
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
        assert_eq!(read_images(&folder.path().join(name)).unwrap().pixels, images[16..], "{name}");
    }
    assert_eq!(read_labels(&folder.path().join("labels")).unwrap(), [3, 9]);
}

/// Reads a file of these bytes, plain and compressed, and expects the same refusal, naming the file.
fn refused(role: Role, bytes: &[u8], words: &str) {
    let folder = folder_with(&[("plain", bytes), ("compressed", &compress(bytes))]);
    for name in ["plain", "compressed"] {
        let path = folder.path().join(name);
        let read = match role {
            Role::Images => read_images(&path).map(drop),
            Role::Labels => read_labels(&path).map(drop),
        };
        let message = read.expect_err(words).to_string();
        assert!(message.contains(words), "{name}: {message}");
        assert!(message.starts_with(&path.display().to_string()), "{message}");
    }
}

#[test]
fn what_is_not_exactly_right_is_refused() {
    let (images, labels) = (two_images(), encode_labels(&[3, 9]));
    let with_size = |size: [usize; 3]| encode(&size, &images[16..]);
    refused(Role::Images, &images[..images.len() - 1], "1584 bytes expected, 1583 found");
    refused(Role::Images, &images[..16], "1584 bytes expected, 16 found");
    refused(Role::Images, &images[..9], "16 bytes expected, 9 found");
    refused(Role::Images, &[0, 0], "16 bytes expected, 2 found");
    refused(Role::Labels, &labels[..9], "10 bytes expected, 9 found");
    refused(Role::Images, &[&images[..], &[0]].concat(), "after the 1584 bytes");
    refused(Role::Labels, &[&labels[..], &[0]].concat(), "after the 10 bytes");
    refused(Role::Images, &labels, "holds labels where images are expected");
    refused(Role::Labels, &images, "holds images where labels are expected");
    refused(
        Role::Images,
        b"magic\n",
        "neither an IDX file nor a NumPy array of images: starts with the bytes [6d, 61, 67, 69]",
    );
    refused(Role::Images, &with_size([2, 28, 27]), "after the 1528 bytes");
    refused(Role::Images, &with_size([2, 28, 1025]), "28×1025 pixels; each side has 1 to 1024");
    refused(Role::Images, &with_size([0, 28, 28]), "holds no images");
    let numbers = |numbers: &[i16]| {
        let mut file = other_idx(0x0b, &[numbers.len() as u32], 0);
        file.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
        file
    };
    let labels = |labels: &[i16], words: &str| refused(Role::Labels, &numbers(labels), words);
    labels(&[0, 9, 1000, 11], "label 2 (counted from 0) is 1000");
    labels(&[0, -1, 1], "from -1 to 1 (3 classes)");
    labels(&[0, -1, 1], "subtract -1 from each");
    labels(&[1, 2000, 1], "number the classes anew");
    // A header that promises three terabytes takes no memory.
    refused(
        Role::Images,
        &with_size([u32::MAX as usize, 28, 28]),
        "3367254359296 bytes expected, 1584 found",
    );
    refused(Role::Images, &with_size([u32::MAX as usize; 3]), "4294967295×4294967295 pixels");
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
    let images = |file: &[u8], words: &str| refused(Role::Images, file, words);
    let labels = |file: &[u8], words: &str| refused(Role::Labels, file, words);
    images(&other_idx(8, &[2, 28, 28, 2], 3136), "unsigned bytes of 4 dimensions [2, 28, 28, 2]; ");
    images(
        &other_idx(8, &[2, 784], 1568),
        "rows of 784 numbers; say how large they are: --image-size 28x28",
    );
    images(&other_idx(0x0c, &[2, 8], 64), "holds labels where images");
    labels(&other_idx(8, &[3, 10], 30), "unsigned bytes of 2 dimensions [3, 10]");
    labels(&other_idx(8, &[3, 8], 24), "unsigned bytes of 2 dimensions [3, 8]");
    labels(&other_idx(0x77, &[3], 3), "type 0x77, which IDX does not have");
    let floats = |values: [f32; 2]| {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
        [&other_idx(0x0d, &[1, 1, 2], 0)[..], &bytes].concat()
    };
    images(&floats([0.0, 0.5]), "from 0 to 1; multiply them by 255");
    images(&floats([0.0, 1.0]), "from 0 to 1; multiply them by 255");
    images(&floats([7.0, 1.5]), "number 1 (counted from 0) is 1.5; pixels are whole numbers");
    images(&floats([7.0, 256.0]), "is 256; pixels");
    images(&floats([7.0, f32::NAN]), "is NaN; pixels");
    images(&floats([-1.0, 0.0]), "is -1; pixels");
    let swapped = |file: Vec<u8>, header: usize| {
        let mut file = file;
        file[4..header].as_chunks_mut::<4>().0.iter_mut().for_each(|size| size.reverse());
        file
    };
    images(&swapped(two_images(), 16), "little-endian");
    labels(&swapped(encode_labels(&[3, 9, 1]), 8), "little-endian");
    labels(&[1, 8, 0, 0, 3, 0, 0, 0, 1, 2, 3], "little-endian");
    images(b"<!DOCTYPE html><html><body>404</body></html>", "web page");
    images(b"PK\x03\x04train-images-idx3-ubyte", "zip archive");
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
    assert_eq!(read_images(&folder.path().join("padded")).unwrap().pixels, images[16..]);
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
        assert!(matches!(error.problem, Problem::Compression { .. }), "{error}");
    }
}

#[test]
fn files_must_exist() {
    let folder = folder_with(&[]);
    let error = read_images(&folder.path().join("none")).unwrap_err();
    assert!(matches!(error.problem, Problem::Unreadable(_)), "{error}");
    let error = read_images(folder.path()).unwrap_err().to_string();
    assert!(error.contains("is a folder"), "{error}");
}

/// What `tests/data/make.py` wrote, with idx2numpy.
#[test]
fn files_of_other_tools_are_read() {
    let images = |name: &str, size: [usize; 3]| {
        let read = read_images(&data(name)).unwrap();
        assert_eq!((read.size(), read.pixels.clone()), (size, pixels(read.pixels.len())), "{name}");
        assert_eq!(read.count(), 3, "{name}");
    };
    images("grey.idx3", [1, 4, 5]);
    images("double.idx3", [1, 4, 5]);
    images("colour.idx4", [3, 4, 5]);
    let rows = Reading { image_size: Some((4, 5)), ..Reading::default() };
    let read = pair::read_images(&data("rows.idx2"), &rows).unwrap();
    assert_eq!((read.size(), read.pixels), ([1, 4, 5], pixels(60)));
    for name in ["labels.u1", "labels.i1", "labels.i4", "qmnist-labels.idx2"] {
        assert_eq!(read_labels(&data(name)).unwrap(), [2, 0, 1], "{name}");
    }
    assert_eq!(read_labels(&data("labels.i2")).unwrap(), [300, 0, 999]);
}

#[test]
fn a_size_that_was_given_has_to_be_that_of_the_rows() {
    let message = |name: &str, size: (usize, usize)| {
        let reading = Reading { image_size: Some(size), ..Reading::default() };
        pair::read_images(&data(name), &reading).unwrap_err().to_string()
    };
    assert!(
        message("rows.idx2", (3, 5)).contains("20 numbers, but --image-size says 3x5, which is 15")
    );
    assert!(message("rows.idx2", (1, 0)).contains("give the right size"));
}

#[test]
fn nothing_is_unpacked_beyond_its_claim_or_the_limit() {
    let images = encode(&[3, 4, 5], &pixels(60));
    let bomb = compress(&[&images[..], &vec![0; 10 << 20]].concat());
    let problem = crate::formats::read_images(&bomb[..], &Reading::default()).unwrap_err();
    assert!(matches!(problem, Problem::Trailing { expected: 76 }), "{problem}");
    let read = |limit: u64| {
        let reading = Reading { limit, ..Reading::default() };
        crate::formats::read_images(&compress(&images)[..], &reading)
    };
    assert_eq!(read(60).unwrap().count(), 3);
    assert!(matches!(read(59), Err(Problem::TooLarge { limit: 59 })));
}
