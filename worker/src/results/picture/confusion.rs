//! `confusion.png`: which class was taken for which.

use common::config::PictureFormat;
use common::data_shape::DataShape;
use plotters::element::Rectangle;
use plotters::style::{Color, FontTransform, RGBColor};

use super::badge;
use super::encode::render;
use super::error::PictureError;
use super::raster::mix;
use super::style::{
    CENTERED, FAINT_INK, INK, LEFT, MIDDLE, PAPER, TOP, Unit, bold, count, percent, stroke, text,
};
use super::surface::{Area, Surface};
use crate::results::epoch_features::EpochFeatures;
use crate::results::geometry::{Confusion, accuracy, class_accuracy, confusion};

const CLASSES: usize = DataShape::MNIST.classes;
const SIZE: (u32, u32) = (1000, 950);
const LEFT_SIDE: i32 = 110;
const TOP_SIDE: i32 = 138;
const CELL: i32 = 70;
/// The column of accuracies, right of the matrix.
const COLUMN: i32 = LEFT_SIDE + CELL * CLASSES as i32 + 24;
const COLUMN_WIDTH: i32 = 122;

/// Right ones.
const RIGHT_COLOR: RGBColor = RGBColor(0x1c, 0x5f, 0xb0);
/// Wrong ones.
const WRONG_COLOR: RGBColor = RGBColor(0xd0, 0x4a, 0x12);

/// Draws the confusion matrix of the test set, or of the training samples where there is none, 1000 × 950 pixels.
pub fn draw_confusion(
    features: &EpochFeatures,
    format: PictureFormat,
) -> Result<Vec<u8>, PictureError> {
    features.check_shapes()?;
    render(format, SIZE, |surface| paint(surface, features))
}

fn paint(surface: &mut Surface, features: &EpochFeatures) -> Result<(), PictureError> {
    let (name, set) = match &features.test {
        Some(test) => ("test set", test),
        None => ("training set, as trained on", &features.train),
    };
    let area = surface.area();
    let epoch = format!("confusion, epoch={}", features.epoch());
    area.draw_text(&epoch, &bold(30.0, INK, LEFT), (LEFT_SIDE, 46))?;
    let share = accuracy(set).map_or_else(|| "no samples".to_owned(), percent);
    let details = format!("{} {name}   ·   accuracy {share}", features.dataset);
    area.draw_text(&details, &text(20.0, INK, LEFT), (LEFT_SIDE, 80))?;
    if features.synthetic {
        badge::synthetic(&area, COLUMN + COLUMN_WIDTH, Unit(1.0))?;
    }
    let confusion = confusion(set, features.class_names.len());
    cells(&area, &confusion)?;
    accuracies(&area, &confusion)?;
    names(&area)
}

fn corner(row: usize, column: usize) -> (i32, i32) {
    (LEFT_SIDE + CELL * column as i32, TOP_SIDE + CELL * row as i32)
}

fn cells(area: &Area, confusion: &Confusion) -> Result<(), PictureError> {
    for (right, row) in confusion.iter().enumerate() {
        let samples: u64 = row.iter().sum();
        for (taken, &number) in row.iter().enumerate() {
            let share = number as f64 / samples.max(1) as f64;
            let color = if right == taken { RIGHT_COLOR } else { WRONG_COLOR };
            let (x, y) = corner(right, taken);
            let cell = [(x, y), (x + CELL, y + CELL)];
            // Roots, so that rare mistakes show as well.
            let strength = if right == taken { share } else { share.sqrt().sqrt() };
            area.draw(&Rectangle::new(cell, shade(color, strength).filled()))?;
            let ink = match number {
                0 => RGBColor(0xc4, 0xc4, 0xc8),
                _ if strength > 0.6 => PAPER,
                _ => INK,
            };
            let style = text(18.0, ink, MIDDLE);
            area.draw_text(&count(number as usize), &style, (x + CELL / 2, y + CELL / 2))?;
        }
    }
    for line in 0..=CLASSES {
        let grid = stroke(RGBColor(0xd8, 0xd8, 0xdc), 1);
        let ((x, y), (end, _)) = (corner(line, line), corner(0, CLASSES));
        let bottom = corner(CLASSES, 0).1;
        area.draw(&Rectangle::new([(LEFT_SIDE, y), (end, y)], grid))?;
        area.draw(&Rectangle::new([(x, TOP_SIDE), (x, bottom)], grid))?;
    }
    area.draw(&Rectangle::new([corner(0, 0), corner(CLASSES, CLASSES)], stroke(INK, 1)))?;
    Ok(())
}

/// A bar for each class, as long as its accuracy.
fn accuracies(area: &Area, confusion: &Confusion) -> Result<(), PictureError> {
    let heading = text(17.0, FAINT_INK, CENTERED);
    area.draw_text("accuracy", &heading, (COLUMN + COLUMN_WIDTH / 2, TOP_SIDE - 12))?;
    for (class, share) in class_accuracy(confusion).into_iter().enumerate() {
        let y = corner(class, 0).1;
        let (top, bottom) = (y + 14, y + CELL - 14);
        let end = |share: f64| COLUMN + (f64::from(COLUMN_WIDTH) * share).round() as i32;
        let pale = shade(RIGHT_COLOR, 0.12).filled();
        area.draw(&Rectangle::new([(COLUMN, top), (end(1.0), bottom)], pale))?;
        let bar = shade(RIGHT_COLOR, 0.42).filled();
        area.draw(&Rectangle::new([(COLUMN, top), (end(share.unwrap_or(0.0)), bottom)], bar))?;
        let label = share.map_or_else(|| "no samples".to_owned(), percent);
        let middle = (COLUMN + COLUMN_WIDTH / 2, y + CELL / 2);
        area.draw_text(&label, &text(18.0, INK, MIDDLE), middle)?;
    }
    Ok(())
}

fn names(area: &Area) -> Result<(), PictureError> {
    let bottom = corner(CLASSES, 0).1;
    for class in 0..CLASSES {
        let ((x, _), (_, y)) = (corner(0, class), corner(class, 0));
        let label = class.to_string();
        area.draw_text(&label, &text(19.0, INK, TOP), (x + CELL / 2, bottom + 12))?;
        area.draw_text(&label, &text(19.0, INK, MIDDLE), (LEFT_SIDE - 22, y + CELL / 2))?;
    }
    let style = text(19.0, FAINT_INK, CENTERED);
    let middle = CELL * CLASSES as i32 / 2;
    area.draw_text("predicted class", &style, (LEFT_SIDE + middle, bottom + 58))?;
    let upright = style.transform(FontTransform::Rotate270);
    area.draw_text("true class", &upright, (LEFT_SIDE - 56, TOP_SIDE + middle))?;
    let note = "numbers are samples; shade grows with their share of the true class, of mistakes as its fourth root";
    area.draw_text(note, &text(16.0, FAINT_INK, LEFT), (LEFT_SIDE, bottom + 92))?;
    Ok(())
}

/// From white, at 0, to `color`, at 1.
fn shade(color: RGBColor, strength: f64) -> RGBColor {
    let alpha = (strength.clamp(0.0, 1.0) * 255.0).round() as u8;
    RGBColor(mix(255, color.0, alpha), mix(255, color.1, alpha), mix(255, color.2, alpha))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::picture::testing::{decode, ten_clusters};

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
        let at = |row, column| {
            let (x, y) = corner(row, column);
            image.pixel(x as u32 + 6, y as u32 + 6)
        };
        assert_eq!(at(0, 0), [0x1c, 0x5f, 0xb0]);
        assert_eq!(at(3, 4), [255; 3]);
        let [r, g, b] = at(3, 8);
        assert!(r > g && g > b && b < 250, "{r} {g} {b}");
    }

    #[test]
    fn no_samples_at_all_are_drawn_too() {
        let mut features = ten_clusters(0, 2);
        features.test = None;
        draw_confusion(&features, PictureFormat::Svg).unwrap();
    }
}
