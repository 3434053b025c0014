//! How each digit is written: strokes through control points, several ways for most digits.
//!
//! Read by [`super::render`]; nothing here is random. Coordinates are in a unit box, x to the right, y downwards; a
//! stroke is a smooth curve through its points, except where a point is a corner.

/// A point a stroke passes through.
#[derive(Clone, Copy, Debug)]
pub(super) struct ControlPoint {
    /// From 0 (left) to 1 (right).
    pub x: f32,
    /// From 0 (top) to 1 (bottom).
    pub y: f32,
    /// Whether the pen turns sharply here.
    pub corner: bool,
}

/// One movement of the pen.
pub(super) type Stroke = &'static [ControlPoint];
/// One way of writing a digit.
pub(super) type Glyph = &'static [Stroke];

/// The most points a stroke has.
#[cfg(test)]
const LONGEST_STROKE: usize = 16;

/// A stroke from its points `x y`: smooth through those marked `~`, with a corner at those marked `^`.
macro_rules! stroke {
    ($($mark:tt $x:literal $y:literal),+) => {
        &[$(ControlPoint { x: $x, y: $y, corner: stroke!(@corner $mark) }),+]
    };
    (@corner ~) => { false };
    (@corner ^) => { true };
}

/// The ways of writing each digit, indexed by the digit. All are equally likely.
pub(super) const DIGITS: [&[Glyph]; 10] =
    [ZERO, ONE, TWO, THREE, FOUR, FIVE, SIX, SEVEN, EIGHT, NINE];

const ZERO: &[Glyph] = &[
    &[stroke![
        ~0.55 0.0, ~0.26 0.14, ~0.13 0.5, ~0.24 0.85, ~0.5 1.0, ~0.78 0.84, ~0.88 0.48,
        ~0.74 0.12, ~0.5 0.01
    ]],
    // The pen overshoots into the ring.
    &[stroke![
        ~0.62 0.05, ~0.3 0.12, ~0.16 0.5, ~0.28 0.88, ~0.55 0.98, ~0.8 0.76, ~0.82 0.38,
        ~0.62 0.06, ~0.4 0.08, ~0.34 0.22
    ]],
    // Not quite closed.
    &[stroke![
        ~0.44 0.03, ~0.2 0.24, ~0.16 0.62, ~0.36 0.96, ~0.66 0.94, ~0.84 0.62, ~0.8 0.24,
        ~0.6 0.03
    ]],
];

const ONE: &[Glyph] = &[
    &[stroke![^0.5 0.0, ~0.5 0.5, ^0.5 1.0]],
    &[stroke![^0.52 0.0, ~0.5 0.4, ^0.48 1.0]],
    &[stroke![^0.32 0.2, ^0.54 0.0, ~0.53 0.5, ^0.52 1.0]],
    &[stroke![^0.28 0.26, ^0.54 0.0, ~0.53 0.5, ^0.52 0.98], stroke![^0.26 0.99, ^0.78 0.98]],
];

const TWO: &[Glyph] = &[
    &[stroke![
        ~0.16 0.24, ~0.32 0.04, ~0.62 0.02, ~0.78 0.22, ~0.66 0.5, ~0.4 0.78, ^0.14 0.98,
        ~0.5 0.96, ^0.88 0.97
    ]],
    // A loop at the lower left.
    &[stroke![
        ~0.18 0.2, ~0.4 0.01, ~0.7 0.08, ~0.74 0.32, ~0.54 0.64, ~0.28 0.93, ~0.12 0.92,
        ~0.2 0.76, ~0.42 0.82, ~0.66 0.97, ~0.92 0.9
    ]],
    // Round, ending in a wave.
    &[stroke![
        ~0.24 0.3, ~0.3 0.08, ~0.56 0.0, ~0.74 0.16, ~0.68 0.42, ~0.44 0.7, ^0.2 0.94,
        ~0.44 0.88, ~0.68 0.98, ~0.86 0.92
    ]],
];

const THREE: &[Glyph] = &[
    &[stroke![
        ~0.2 0.13, ~0.44 0.0, ~0.72 0.1, ~0.7 0.32, ^0.42 0.46, ~0.74 0.55, ~0.82 0.77,
        ~0.6 0.98, ~0.32 0.98, ~0.14 0.85
    ]],
    // Flat on top.
    &[stroke![^0.2 0.03, ^0.76 0.02, ^0.42 0.4, ~0.72 0.48, ~0.8 0.74, ~0.56 0.98, ~0.18 0.9]],
    // In one go, with a small loop in the middle.
    &[stroke![
        ~0.24 0.1, ~0.52 0.0, ~0.74 0.14, ~0.64 0.38, ~0.42 0.48, ~0.4 0.42, ~0.56 0.44,
        ~0.78 0.58, ~0.78 0.84, ~0.5 1.0, ~0.16 0.92
    ]],
];

const FOUR: &[Glyph] = &[
    // Open, with sharp corners.
    &[
        stroke![^0.28 0.02, ~0.22 0.3, ^0.14 0.58, ~0.5 0.57, ^0.88 0.55],
        stroke![^0.7 0.06, ~0.66 0.5, ^0.62 1.0],
    ],
    // Closed, in one stroke.
    &[stroke![^0.9 0.63, ~0.5 0.64, ^0.1 0.64, ~0.4 0.3, ^0.66 0.0, ~0.65 0.5, ^0.64 1.0]],
    // Open and round, nearly a nine.
    &[
        stroke![~0.22 0.04, ~0.18 0.32, ~0.3 0.5, ~0.56 0.48, ~0.78 0.34],
        stroke![^0.8 0.02, ~0.76 0.5, ^0.72 1.0],
    ],
    // Open, the bar crossing the stem low.
    &[
        stroke![^0.2 0.0, ~0.2 0.24, ~0.26 0.46, ~0.52 0.5, ^0.86 0.46],
        stroke![^0.66 0.16, ~0.62 0.6, ^0.56 1.0],
    ],
];

const FIVE: &[Glyph] = &[
    &[stroke![
        ^0.8 0.02, ^0.3 0.03, ^0.24 0.42, ~0.5 0.36, ~0.78 0.52, ~0.78 0.82, ~0.5 1.0, ~0.16 0.9
    ]],
    // The hat is a stroke of its own.
    &[
        stroke![
            ^0.32 0.08, ^0.26 0.44, ~0.52 0.38, ~0.76 0.56, ~0.72 0.86, ~0.46 0.99, ~0.16 0.92
        ],
        stroke![^0.34 0.06, ^0.86 0.0],
    ],
    // Round, like an S.
    &[stroke![
        ~0.84 0.02, ~0.5 0.04, ~0.28 0.18, ~0.36 0.4, ~0.62 0.5, ~0.76 0.7, ~0.6 0.94,
        ~0.34 0.98, ~0.14 0.88
    ]],
];

const SIX: &[Glyph] = &[
    &[stroke![
        ~0.7 0.02, ~0.4 0.2, ~0.2 0.52, ~0.22 0.84, ~0.46 1.0, ~0.74 0.88, ~0.76 0.66,
        ~0.54 0.54, ~0.32 0.64, ~0.22 0.82
    ]],
    // A straight back and a small loop.
    &[stroke![
        ~0.5 0.0, ~0.34 0.3, ~0.24 0.66, ~0.3 0.92, ~0.52 1.0, ~0.72 0.86, ~0.66 0.68,
        ~0.46 0.66, ~0.28 0.84
    ]],
    // A wide loop that does not close.
    &[stroke![
        ~0.56 0.02, ~0.3 0.24, ~0.16 0.6, ~0.26 0.9, ~0.56 1.0, ~0.84 0.84, ~0.8 0.6, ~0.56 0.5,
        ~0.36 0.58
    ]],
];

const SEVEN: &[Glyph] = &[
    &[stroke![^0.16 0.06, ~0.5 0.06, ^0.82 0.04, ~0.56 0.5, ^0.42 1.0]],
    // With a bar through the leg.
    &[
        stroke![^0.16 0.08, ~0.5 0.05, ^0.84 0.04, ~0.58 0.5, ^0.44 1.0],
        stroke![^0.34 0.52, ^0.8 0.47],
    ],
    // With a serif at the left.
    &[stroke![^0.14 0.24, ^0.18 0.06, ~0.5 0.08, ^0.84 0.04, ~0.66 0.46, ^0.54 1.0]],
    // Round, in one go.
    &[stroke![~0.16 0.16, ~0.4 0.06, ~0.72 0.06, ~0.78 0.22, ~0.6 0.6, ~0.48 1.0]],
];

const EIGHT: &[Glyph] = &[
    &[stroke![
        ~0.74 0.14, ~0.5 0.0, ~0.26 0.12, ~0.3 0.34, ~0.54 0.5, ~0.76 0.7, ~0.7 0.93, ~0.46 1.0,
        ~0.22 0.9, ~0.24 0.7, ~0.5 0.48, ~0.7 0.32, ~0.73 0.12
    ]],
    // Two rings.
    &[
        stroke![~0.5 0.0, ~0.28 0.1, ~0.26 0.34, ~0.5 0.46, ~0.74 0.34, ~0.72 0.1, ~0.48 0.0],
        stroke![~0.5 0.46, ~0.22 0.6, ~0.22 0.9, ~0.5 1.0, ~0.78 0.88, ~0.78 0.6, ~0.5 0.46],
    ],
    // Open at the top.
    &[stroke![
        ~0.82 0.04, ~0.56 0.04, ~0.3 0.14, ~0.34 0.36, ~0.58 0.54, ~0.7 0.74, ~0.6 0.96,
        ~0.38 0.98, ~0.26 0.8, ~0.42 0.56, ~0.66 0.36, ~0.8 0.12
    ]],
];

const NINE: &[Glyph] = &[
    &[
        stroke![~0.74 0.16, ~0.5 0.01, ~0.24 0.14, ~0.22 0.38, ~0.44 0.5, ~0.66 0.38, ~0.76 0.14],
        stroke![^0.76 0.14, ~0.73 0.5, ^0.66 1.0],
    ],
    // The tail bends to the left.
    &[stroke![
        ~0.74 0.2, ~0.52 0.0, ~0.26 0.12, ~0.22 0.36, ~0.42 0.5, ~0.66 0.38, ^0.76 0.16,
        ~0.76 0.56, ~0.6 0.92, ~0.28 0.98
    ]],
    // In one go, with a straight leg.
    &[stroke![
        ~0.7 0.08, ~0.44 0.04, ~0.22 0.22, ~0.3 0.46, ~0.56 0.42, ^0.74 0.1, ~0.66 0.5,
        ^0.52 1.0
    ]],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_has_glyphs_inside_the_box() {
        for glyph in DIGITS.iter().flat_map(|ways| ways.iter()) {
            assert!(!glyph.is_empty());
            for stroke in glyph.iter() {
                assert!((2..=LONGEST_STROKE).contains(&stroke.len()));
                let inside = |v: f32| (0.0..=1.0).contains(&v);
                assert!(stroke.iter().all(|point| inside(point.x) && inside(point.y)));
            }
        }
        assert!(DIGITS.iter().all(|ways| !ways.is_empty()));
    }
}
