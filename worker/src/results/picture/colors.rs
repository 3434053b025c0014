//! Which colour each class has, however many there are.
//!
//! A class's colour follows from its number alone, so that it is the same in a run of ten classes and of a thousand.
//! The first ten are the pure ones. Twenty more were chosen, one after another, as far from all before them and from
//! the axes' background as could be: any two of the [`FIRST`] thirty lie 0.13 apart in OKLab or more, which the eye
//! tells apart even in dots. Further classes go round a wheel of 120 hues in five lightnesses, where a class
//! lies 0.15 or more from the three before and after it; among all at once they can no longer be told apart for sure.
//! Class 150 has the colour of class 30 again. Used by the picture of features, its legend and the animation.

use super::raster::Rgb;

/// The colours of the classes 0…29.
pub(super) const FIRST: [Rgb; 30] = [
    [0xff, 0x00, 0x00],
    [0xff, 0xff, 0x00],
    [0x00, 0xff, 0x00],
    [0x00, 0xff, 0xff],
    [0x00, 0x00, 0xff],
    [0xff, 0x00, 0xff],
    [0x99, 0x00, 0x00],
    [0x99, 0x99, 0x00],
    [0x00, 0x99, 0x00],
    [0x00, 0x99, 0x99],
    [0x00, 0x00, 0x66],
    [0x00, 0x44, 0x00],
    [0xff, 0xaa, 0xaa],
    [0x99, 0x00, 0xaa],
    [0x44, 0x00, 0x00],
    [0x00, 0x77, 0xee],
    [0x00, 0x55, 0x77],
    [0x22, 0xbb, 0xff],
    [0xdd, 0x44, 0x99],
    [0xee, 0xbb, 0x00],
    [0x44, 0x00, 0xaa],
    [0x55, 0xcc, 0x99],
    [0x66, 0x00, 0x55],
    [0x66, 0x66, 0x00],
    [0x77, 0x22, 0xff],
    [0x88, 0x55, 0x77],
    [0xff, 0x88, 0xff],
    [0x99, 0x88, 0xbb],
    [0xcc, 0x77, 0x55],
    [0xbb, 0x66, 0xff],
];
/// Colours of the wheel, for the classes after those.
const WHEEL: usize = 120;
/// From a class to the next on the wheel: every hue is met once, and its neighbours have other lightnesses.
const STRIDE: usize = 49;
const LIGHTNESSES: [f64; 5] = [0.62, 0.52, 0.42, 0.78, 0.70];
/// More colourful than this, the eye would see nothing else.
const MOST_CHROMA: i32 = 24;

/// How many colours there are before they begin again.
pub(super) const DISTINCT: usize = FIRST.len() + WHEEL;

/// The colours of so many classes.
pub(super) fn class_colors(classes: usize) -> Vec<Rgb> {
    (0..classes).map(class_color).collect()
}

/// A class's colour.
pub(super) fn class_color(class: usize) -> Rgb {
    match FIRST.get(class) {
        Some(color) => *color,
        None => wheel((class - FIRST.len()) % WHEEL),
    }
}

fn wheel(place: usize) -> Rgb {
    let hue = (place * STRIDE % WHEEL) as f64 / WHEEL as f64 * std::f64::consts::TAU;
    let lightness = LIGHTNESSES[place % LIGHTNESSES.len()];
    let (a, b) = (libm::cos(hue), libm::sin(hue));
    // As colourful as a screen can show this hue.
    let color = (0..=MOST_CHROMA).rev().find_map(|hundredths| {
        let chroma = f64::from(hundredths) / 100.0;
        from_oklab([lightness, chroma * a, chroma * b])
    });
    color.unwrap_or([0x80; 3])
}

/// The sRGB colour of a place in OKLab, if there is one (Ottosson, *A perceptual color space for image processing*).
fn from_oklab([lightness, a, b]: [f64; 3]) -> Option<Rgb> {
    let [l, m, s] = [
        lightness + 0.3963377774 * a + 0.2158037573 * b,
        lightness - 0.1055613458 * a - 0.0638541728 * b,
        lightness - 0.0894841775 * a - 1.2914855480 * b,
    ]
    .map(|root| root * root * root);
    let linear = [
        4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
        -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
        -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s,
    ];
    let shown = linear.iter().all(|part| (0.0..=1.0).contains(part));
    shown.then(|| linear.map(|part| (255.0 * gamma(part)).round() as u8))
}

fn gamma(linear: f64) -> f64 {
    if linear <= 0.0031308 { 12.92 * linear } else { 1.055 * libm::pow(linear, 1.0 / 2.4) - 0.055 }
}

#[cfg(test)]
#[path = "colors/tests.rs"]
mod tests;
