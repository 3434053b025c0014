//! Tests of [`super`], against Pillow.

use common::hexadecimal;
use sha2::{Digest, Sha256};

use super::*;
use crate::images::fixtures::pattern;

fn picture([height, width, channels]: [usize; 3]) -> Picture {
    Picture { height, width, channels, pixels: pattern(height, width, channels) }
}

#[test]
fn it_is_pillow_s_to_the_bit() {
    // sha256(Image.fromarray(s(h, w, n)).resize((W, H), Image.BILINEAR).tobytes()).hexdigest()[:16], Pillow 12.3.0
    for (from, [height, width], expected) in [
        ([5, 7, 1], [3, 4], "8ee7605c09076738"),
        ([5, 7, 1], [8, 11], "7dcf278171d804d9"),
        ([5, 7, 1], [28, 28], "66611965fda0eb7b"),
        ([5, 7, 1], [5, 9], "03cddf85fc7457a5"),
        ([5, 7, 1], [64, 20], "b9ba5c212a67a826"),
        ([5, 7, 3], [3, 4], "d90912bdfc9b7d49"),
        ([5, 7, 3], [8, 11], "0fa1fe1b4e8a236d"),
        ([5, 7, 3], [28, 28], "e6a889a362deac6d"),
        ([5, 7, 3], [5, 9], "6fe53d9f96ea4dee"),
        ([5, 7, 3], [64, 20], "f540505841eaf188"),
        ([40, 31, 1], [3, 4], "47e9c0d89b510ffb"),
        ([40, 31, 1], [8, 11], "6322fd60c63ae373"),
        ([40, 31, 1], [28, 28], "04c8f2a3941954bc"),
        ([40, 31, 1], [5, 9], "1703fd1871dcfc0a"),
        ([40, 31, 1], [64, 20], "c7692f00365b979d"),
        ([40, 31, 3], [3, 4], "a47af36f23e11f17"),
        ([40, 31, 3], [8, 11], "90c9db25f6bae583"),
        ([40, 31, 3], [28, 28], "f1358265af568da3"),
        ([40, 31, 3], [5, 9], "99adfeaf44f19434"),
        ([40, 31, 3], [64, 20], "d0a69ee88f1007e4"),
        ([64, 64, 1], [3, 4], "a46f0a60c4d2e747"),
        ([64, 64, 1], [8, 11], "1f9e0ef2440fd212"),
        ([64, 64, 1], [28, 28], "9e78309dcbd8e671"),
        ([64, 64, 1], [5, 9], "dc94b5055cbbdefd"),
        ([64, 64, 1], [64, 20], "3c50bd343ea458ab"),
        ([64, 64, 3], [3, 4], "90e2dfb3389e1135"),
        ([64, 64, 3], [8, 11], "24cb628a14834956"),
        ([64, 64, 3], [28, 28], "ee16e0ac86f12323"),
        ([64, 64, 3], [5, 9], "4e6741ffe1a17eb6"),
        ([64, 64, 3], [64, 20], "a80d589a4507d1aa"),
        ([1, 9, 1], [3, 4], "b7ae5fa3f7915674"),
        ([1, 9, 1], [8, 11], "d1f67f194239f53c"),
        ([1, 9, 1], [28, 28], "ceccb373384e3d6d"),
        ([1, 9, 1], [5, 9], "433e6ccfc73751ea"),
        ([1, 9, 1], [64, 20], "dd0a46222b87846d"),
        ([1, 9, 3], [3, 4], "8c21cd0a83d98fd3"),
        ([1, 9, 3], [8, 11], "cef422d85b684d40"),
        ([1, 9, 3], [28, 28], "20a68e573e1c6eea"),
        ([1, 9, 3], [5, 9], "4ae5d1396d2ac65b"),
        ([1, 9, 3], [64, 20], "3b5ba8230aadd5b8"),
    ] {
        let resized = resize(&picture(from), Side::all(height), Side::all(width));
        assert_eq!((resized.height, resized.width), (height, width));
        let digest = hexadecimal(&Sha256::digest(&resized.pixels)[..8]);
        assert_eq!(digest, expected, "{from:?} to {height} × {width}");
    }
    let small = resize(&picture([5, 7, 1]), Side::all(3), Side::all(4));
    assert_eq!(small.pixels, [51, 124, 138, 131, 117, 153, 148, 166, 113, 121, 170, 137]);
}

#[test]
fn a_part_is_cut_out_of_the_whole() {
    let (height, width) =
        (Side { whole: 30, start: 7, length: 4 }, Side { whole: 11, start: 2, length: 9 });
    let picture = picture([17, 40, 3]);
    let part = resize(&picture, height, width);
    let whole = resize(&picture, Side::all(30), Side::all(11));
    let rows = whole.pixels.chunks_exact(11 * 3).skip(7).take(4);
    let expected: Vec<u8> = rows.flat_map(|row| row[2 * 3..].to_vec()).collect();
    assert_eq!((part.height, part.width, part.pixels), (4, 9, expected));
}

#[test]
fn a_thin_picture_takes_no_more_memory_than_its_part() {
    // The whole would have 16384 · 1024 rows.
    let picture = Picture { height: 16_384, width: 1, channels: 1, pixels: vec![9; 16_384] };
    let height = Side { whole: 16_384 * 1024, start: 8_000_000, length: 1024 };
    assert_eq!(resize(&picture, height, Side::all(1024)).pixels, vec![9; 1024 * 1024]);
}
