//! The order of operations is part of a result's identity. If this fails, something changed it.

use sha2::{Digest, Sha256};

use super::case::{Case, square};
use engine::*;

/// Of output and gradients in float32 and float64.
const EXPECTED: [&str; 5] = [
    "0f244563a25a56c3 10376abe8a3ce9ad",
    "ab8bea378459ad1c 8657cd6047e35f00",
    "48f17b542ae0c428 2db8567ef30561cf",
    "e62e1c3218ce4c0f 6099c8531b22fe5b",
    "8e177f06312ccb25 c4cd8cffa968bd8d",
];

fn digest<T: Number>(shape: Shape, images: usize) -> String {
    let case = Case::new(shape, images);
    let results = case.computed::<T>(Engine::alone(), &Convolution::new(shape).unwrap());
    let mut digest = Sha256::new();
    for number in results.iter().flatten() {
        digest.update(number.to_f64().to_bits().to_le_bytes());
    }
    digest.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn results_are_those_of_every_other_machine() {
    let found: Vec<String> = [
        (square(1, 32, 28, 5), 3),
        (square(32, 32, 14, 5), 9),
        (square(16, 48, 7, 3), 20),
        (Shape { stride: 2, ..square(3, 20, 15, 7) }, 4),
        (Shape::linear(300, 10), 200),
    ]
    .iter()
    .map(|(shape, images)| digest::<f32>(*shape, *images) + " " + &digest::<f64>(*shape, *images))
    .collect();
    assert_eq!(found, EXPECTED);
}
