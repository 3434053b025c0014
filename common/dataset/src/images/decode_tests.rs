//! Tests of [`super`], with files that Pillow wrote.
//!
//! JPEG leaves a decoder some freedom: with colours at half the resolution these pixels differ by 4 levels at most from
//! Pillow's (libjpeg-turbo's), without by 1.

use std::path::PathBuf;

use super::*;
use crate::images::fixtures::{self, bytes};

fn file(bytes: &[u8]) -> tempfile::TempPath {
    let file = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    std::fs::write(&file, bytes).unwrap();
    file
}

fn decoded(digits: &str, mode: ImageMode) -> Picture {
    let file = file(&bytes(digits));
    let picture = decode(&file, mode, &Limits::default()).unwrap();
    assert_eq!(look(&file, &Limits::default()).unwrap().size, [picture.height, picture.width]);
    picture
}

fn refused(bytes: &[u8], limits: &Limits) -> String {
    let file = file(bytes);
    decode(&file, ImageMode::Rgb, limits).unwrap_err()
}

#[test]
fn every_kind_of_png() {
    use ImageMode::{Grey, Rgb};
    for (digits, mode, is_grey, expected) in [
        (fixtures::PALETTE, Rgb, false, &PALETTE[..]),
        (fixtures::PALETTE_ALPHA, Rgb, false, &PALETTE_ALPHA),
        (fixtures::SIXTEEN, Grey, true, &[0, 22, 43, 64, 85, 107, 128, 149, 170, 192, 213, 234]),
        (fixtures::GREY_ALPHA, Grey, true, &[0, 6, 22, 50, 13, 50, 100, 2, 53, 131, 224, 78]),
        (fixtures::ONE_BIT, Grey, true, &[0, 0, 255, 255, 0, 255, 255, 0, 0, 255, 255, 0]),
    ] {
        let picture = decoded(digits, mode);
        assert_eq!((picture.height, picture.width, &picture.pixels[..]), (3, 4, expected));
        let look = look(&file(&bytes(digits)), &Limits::default()).unwrap();
        assert_eq!(look, Look { size: [3, 4], is_grey });
    }
}

/// `convert("RGB")`.
const PALETTE: [u8; 36] = [
    2, 85, 168, 68, 151, 234, 111, 194, 21, 183, 10, 93, 37, 120, 203, 111, 194, 21, 183, 10, 93,
    2, 85, 168, 79, 162, 245, 142, 225, 52, 217, 44, 127, 79, 162, 245,
];
/// `convert("RGBA")`, each colour times alpha.
const PALETTE_ALPHA: [u8; 36] = [
    2, 85, 168, 68, 151, 234, 56, 97, 11, 183, 10, 93, 37, 120, 203, 56, 97, 11, 183, 10, 93, 2,
    85, 168, 79, 162, 245, 0, 0, 0, 217, 44, 127, 79, 162, 245,
];

#[test]
fn without_loss_pixels_are_exact() {
    for digits in [fixtures::WEBP, fixtures::BMP] {
        assert_eq!(decoded(digits, ImageMode::Rgb).pixels, fixtures::pattern(3, 4, 3));
    }
}

#[test]
fn pictures_stand_as_they_are_to_be_seen() {
    let mut reversed = fixtures::pattern(3, 4, 1);
    reversed.reverse();
    assert_eq!(decoded(fixtures::TURNED_PNG, ImageMode::Grey).pixels, reversed);
    let turned = decoded(fixtures::TURNED, ImageMode::Grey);
    assert_eq!((turned.height, turned.width), (12, 8));
}

#[test]
fn with_loss_pixels_are_nearly_pillow_s() {
    use ImageMode::{Grey, Rgb};
    for (name, digits, pillow, mode, at_most) in [
        ("progressive", fixtures::PROGRESSIVE, fixtures::PROGRESSIVE_IN_PILLOW, Rgb, 4),
        ("turned", fixtures::TURNED, fixtures::TURNED_IN_PILLOW, Grey, 1),
        ("CMYK", fixtures::CMYK, fixtures::CMYK_IN_PILLOW, Rgb, 1),
        ("WebP", fixtures::WEBP_LOSSY, fixtures::WEBP_IN_PILLOW, Rgb, 0),
    ] {
        let (ours, theirs) = (decoded(digits, mode), decoded(pillow, mode));
        assert_eq!((ours.height, ours.width), (theirs.height, theirs.width), "{name}");
        let differences = ours.pixels.iter().zip(&theirs.pixels).map(|(a, b)| a.abs_diff(*b));
        let largest = differences.max().unwrap();
        assert!(largest <= at_most, "{name}: {largest}");
    }
}

#[test]
fn half_a_file_is_refused() {
    for digits in [fixtures::PALETTE, fixtures::PROGRESSIVE, fixtures::BMP, fixtures::WEBP_LOSSY] {
        let whole = bytes(digits);
        let limits = Limits::default();
        for left in [whole.len() * 3 / 4, whole.len() / 2, 40] {
            let reason = refused(&whole[..left], &limits);
            assert!(!reason.contains("decoder cannot"), "{left}: {reason}");
        }
    }
    let jpeg = bytes(fixtures::PROGRESSIVE);
    assert_eq!(refused(&jpeg[..jpeg.len() - 2], &Limits::default()), "its end is missing");
}

#[test]
fn what_is_no_image_is_refused() {
    let limits = Limits::default();
    assert_eq!(refused(b"", &limits), "the file is empty");
    assert!(refused(b"Dear reader, this is no image.", &limits).contains("neither PNG nor JPEG"));
    assert!(refused(b"GIF89a, and what follows", &limits).contains("is Gif"));
    let nowhere = PathBuf::from("/nowhere/1.png");
    let reason = decode(&nowhere, ImageMode::Grey, &limits).unwrap_err();
    assert!(reason.contains("No such file"), "{reason}");
    assert_eq!(
        guarded::<()>(|| panic!("a test")),
        Err("the decoder cannot make anything of it".to_owned())
    );
}

/// The beginning of a PNG that claims so many pixels.
fn claiming(width: u32, height: u32) -> Vec<u8> {
    let mut head = b"IHDR".to_vec();
    head.extend([width.to_be_bytes(), height.to_be_bytes()].concat());
    head.extend([8, 2, 0, 0, 0]);
    let mut check = flate2::Crc::new();
    check.update(&head);
    let start = [0x89, b'P', b'N', b'G', 13, 10, 26, 10, 0, 0, 0, 13];
    let end = [0, 0, 0, 0, b'I', b'D', b'A', b'T', 0x35, 0xAF, 0x06, 0x1E];
    [&start[..], &head, &check.sum().to_be_bytes(), &end].concat()
}

#[test]
fn no_memory_is_taken_for_a_claim() {
    let limits = Limits::default();
    let reason = refused(&claiming(60_000, 60_000), &limits);
    assert!(reason.contains("60000 × 60000 pixels: no side may have more than 16384"), "{reason}");
    let reason = refused(&claiming(16_384, 16_000), &limits);
    assert!(reason.contains("they take 786432000 bytes, more than 536870912"), "{reason}");
    let lower = Limits { side: 11, ..limits };
    assert!(refused(&bytes(fixtures::PROGRESSIVE), &lower).contains("more than 11"));
    let lower = Limits { bytes: 80, ..limits };
    assert!(refused(&bytes(fixtures::BMP), &lower).contains("the file has"));
    let file = file(&claiming(60_000, 60_000));
    assert!(look(&file, &limits).unwrap_err().contains("no side may have more"));
}
