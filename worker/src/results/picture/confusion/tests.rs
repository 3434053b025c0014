//! Confusion matrices of two classes to a thousand.

use super::grid::TOP_SIDE;
use super::*;
use crate::results::picture::testing::{decode, named_clusters, numbers, ten_clusters};

#[test]
fn right_ones_are_blue_wrong_ones_orange_and_absent_ones_white() {
    let mut features = ten_clusters(500, 2);
    features.test = None;
    let train = &mut features.train;
    train.predictions.clone_from(&train.labels);
    let wrong = train.labels.iter().position(|label| *label == 3).unwrap();
    train.predictions[wrong] = 8;
    let png = draw_confusion(&features, PictureFormat::Png).unwrap();
    assert_eq!(png, draw_confusion(&features, PictureFormat::Png).unwrap());
    let image = decode(&png);
    let grid = Grid::new(&Names::new(&features.class_names));
    let at = |row, column| {
        let (x, y) = grid.corner(row, column);
        image.pixel(x as u32 + 6, y as u32 + 6)
    };
    assert_eq!(at(0, 0), [0x1c, 0x5f, 0xb0]);
    assert_eq!(at(3, 4), [255; 3]);
    let [r, g, b] = at(3, 8);
    assert!(r > g && g > b && b < 250, "{r} {g} {b}");
}

#[test]
fn no_samples_at_all_are_drawn_too() {
    for classes in [10, 100] {
        let mut features = named_clusters(&numbers(classes), 0);
        features.test = None;
        draw_confusion(&features, PictureFormat::Svg).unwrap();
    }
}

/// Draws so many classes with one mistake in the last row, and says what is in the SVG.
fn one_mistake(classes: usize) -> String {
    let mut features = named_clusters(&numbers(classes), 2 * classes);
    features.test = None;
    features.train.predictions.clone_from(&features.train.labels);
    let last = features.train.predictions.last_mut().unwrap();
    *last = 0;
    let image = decode(&draw_confusion(&features, PictureFormat::Png).unwrap());
    let grid = Grid::new(&Names::new(&features.class_names));
    assert_eq!(image.dimensions(), grid.size());
    // A cell is at least a pixel, and as good as any other.
    let at = |row, column| {
        let ((x, y), in_cell) = (grid.corner(row, column), grid.cell as u32 / 6);
        image.pixel(x as u32 + in_cell, y as u32 + in_cell)
    };
    let [r, g, b] = at(classes - 1, 0);
    assert!(r > g && g > b, "{classes} classes: {r} {g} {b}");
    let [r, g, b] = at(classes - 1, classes - 1);
    assert!(r < g && g < b, "{classes} classes: {r} {g} {b}");
    if classes > 2 {
        assert_eq!(at(classes - 2, 0), [255; 3]);
    }
    let side = grid.side() as u32;
    let least = if classes == 2 { 280 } else { 650 };
    assert!((least..=1340).contains(&side), "{classes} classes: {side}");
    let edge = |x, y| x < 4 || y < 4 || x + 4 >= image.width || y + 4 >= image.height;
    for (x, y) in (0..image.height).flat_map(|y| (0..image.width).map(move |x| (x, y))) {
        assert!(!edge(x, y) || image.pixel(x, y) == [255; 3], "ink at {x}, {y} of {classes}");
    }
    assert!(grid.corner(0, 0).1 == TOP_SIDE);
    String::from_utf8(draw_confusion(&features, PictureFormat::Svg).unwrap()).unwrap()
}

#[test]
fn every_cell_is_there_whatever_their_number() {
    for classes in [2, 11, 26, 62, 100, 1000] {
        let svg = one_mistake(classes);
        let numbered = svg.contains("numbers are samples");
        assert_eq!(numbered, classes <= 26, "{classes}");
        let mistake = format!("aria-label=\"{} → 0\"", classes - 1);
        assert_eq!(svg.contains(&mistake), !numbered, "{classes}");
        assert_eq!(svg.contains("none are put together"), !numbered);
        let named = (0..classes).filter(|class| svg.contains(&format!("aria-label=\"{class}\"")));
        let named = named.count();
        assert!(named == classes || (classes > 62 && named >= 20), "{named} of {classes}");
    }
}

#[test]
fn long_names_are_shortened_and_stand_upright() {
    let names: Vec<String> =
        (0..12).map(|class| format!("{class} {}", "name ".repeat(30))).collect();
    let features = named_clusters(&names, 600);
    let image = decode(&draw_confusion(&features, PictureFormat::Png).unwrap());
    let grid = Grid::new(&Names::new(&names));
    assert!(grid.labels.upright && grid.labels.widest <= 170);
    assert_eq!(image.dimensions(), grid.size());
    let corner = grid.corner(12, 0);
    let below = |y: i32| {
        (corner.0..corner.0 + grid.cell)
            .any(|x| image.pixel(x as u32, (corner.1 + y) as u32)[0] < 100)
    };
    assert!((14..170).filter(|y| below(*y)).count() > 60);
}
