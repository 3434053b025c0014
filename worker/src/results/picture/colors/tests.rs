//! Colours keep their distance, as the eye sees it.

use super::*;
use crate::results::picture::style::AXES_BACKGROUND;

fn oklab(color: Rgb) -> [f64; 3] {
    let [r, g, b] = color.map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { libm::pow((part + 0.055) / 1.055, 2.4) }
    });
    let [l, m, s] = [
        0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b,
        0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b,
        0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b,
    ]
    .map(libm::cbrt);
    [
        0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
        1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
        0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s,
    ]
}

fn distance(one: Rgb, other: Rgb) -> f64 {
    let (one, other) = (oklab(one), oklab(other));
    let squares = (0..3).map(|axis| (one[axis] - other[axis]) * (one[axis] - other[axis]));
    squares.sum::<f64>().sqrt()
}

fn least_distance(colors: &[Rgb]) -> f64 {
    let others = |index: usize| colors[..index].iter().map(move |other| (index, other));
    (0..colors.len())
        .flat_map(others)
        .map(|(index, other)| distance(colors[index], *other))
        .fold(f64::INFINITY, f64::min)
}

#[test]
fn thirty_classes_lie_far_apart_and_off_the_background() {
    let background = [AXES_BACKGROUND.0, AXES_BACKGROUND.1, AXES_BACKGROUND.2];
    for classes in 2..=30 {
        let least = least_distance(&class_colors(classes));
        assert!(least >= 0.13, "{classes} classes: {least}");
    }
    for class in 0..DISTINCT {
        let off = distance(class_color(class), background);
        assert!(off >= 0.12, "class {class}: {off}");
    }
}

#[test]
fn neighbours_on_the_wheel_differ_and_it_comes_round() {
    let colors = class_colors(1000);
    for class in FIRST.len()..1000 {
        let least = least_distance(&colors[class - 3..=class]);
        let expected = if class < FIRST.len() + 3 { 0.13 } else { 0.15 };
        assert!(least >= expected, "up to class {class}: {least}");
    }
    let mut all = class_colors(DISTINCT);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), DISTINCT);
    assert_eq!(class_color(DISTINCT), class_color(FIRST.len()));
}

#[test]
fn the_wheel_is_the_same_on_every_machine() {
    let expected = [[237, 28, 128], [13, 127, 46], [92, 3, 186], [235, 171, 8]];
    assert_eq!(class_colors(DISTINCT)[30..34], expected);
}
