//! The matrix itself, and beside each row how much of it was right.

use plotters::element::Rectangle;
use plotters::style::{Color, RGBColor};

use super::grid::{COLUMN_WIDTH, Grid, TOP_SIDE};
use crate::results::geometry::{Confusion, class_accuracy};
use crate::results::picture::error::PictureError;
use crate::results::picture::fit::width;
use crate::results::picture::font::Weight;
use crate::results::picture::raster::mix;
use crate::results::picture::style::{
    CENTERED, FAINT_INK, INK, MIDDLE, PAPER, count, percent, stroke, text,
};
use crate::results::picture::surface::Area;

/// Right ones.
const RIGHT_COLOR: RGBColor = RGBColor(0x1c, 0x5f, 0xb0);
/// Wrong ones.
const WRONG_COLOR: RGBColor = RGBColor(0xd0, 0x4a, 0x12);
/// Between cells, unless they are smaller than this.
const LINES: RGBColor = RGBColor(0xd8, 0xd8, 0xdc);
const SMALLEST_LINED: i32 = 12;

/// Draws the cells of a matrix with their numbers, if it has them.
pub fn draw(area: &Area, confusion: &Confusion, grid: &Grid) -> Result<(), PictureError> {
    let size = number_size(confusion, grid);
    for (right, row) in confusion.iter().enumerate() {
        let samples: u64 = row.iter().sum();
        for (taken, &number) in row.iter().enumerate() {
            let share = number as f64 / samples.max(1) as f64;
            let color = if right == taken { RIGHT_COLOR } else { WRONG_COLOR };
            let (x, y) = grid.corner(right, taken);
            // Roots, so that rare mistakes show as well.
            let strength = if right == taken { share } else { share.sqrt().sqrt() };
            if grid.numbered() {
                let cell = [(x, y), (x + grid.cell, y + grid.cell)];
                area.draw(&Rectangle::new(cell, shade(color, strength).filled()))?;
                let ink = match number {
                    0 => RGBColor(0xc4, 0xc4, 0xc8),
                    _ if strength > 0.6 => PAPER,
                    _ => INK,
                };
                let middle = (x + grid.cell / 2, y + grid.cell / 2);
                area.draw_text(&count(number as usize), &text(size, ink, MIDDLE), middle)?;
            } else if number > 0 {
                let cell = [(x, y), (x + grid.cell - 1, y + grid.cell - 1)];
                area.draw(&Rectangle::new(cell, shade(color, strength).filled()))?;
            }
        }
    }
    lines(area, grid)
}

/// That of the letters with which the largest number has room.
fn number_size(confusion: &Confusion, grid: &Grid) -> f64 {
    let largest = confusion.iter().flatten().max().copied().unwrap_or(0);
    let words = count(largest as usize);
    let fits = |size: &i32| width(&words, f64::from(*size), Weight::Regular) <= grid.cell - 5;
    f64::from((9..=18).rev().find(fits).unwrap_or(8))
}

fn lines(area: &Area, grid: &Grid) -> Result<(), PictureError> {
    let all = grid.classes;
    if grid.cell >= SMALLEST_LINED {
        for line in 0..=all {
            let style = stroke(LINES, 1);
            let ((x, y), (end, _)) = (grid.corner(line, line), grid.corner(0, all));
            let bottom = grid.corner(all, 0).1;
            area.draw(&Rectangle::new([(grid.left, y), (end, y)], style))?;
            area.draw(&Rectangle::new([(x, TOP_SIDE), (x, bottom)], style))?;
        }
    }
    // Around the outermost cells, over none of them where they are small.
    let ((left, top), (right, bottom)) = (grid.corner(0, 0), grid.corner(all, all));
    let off = i32::from(!grid.numbered());
    area.draw(&Rectangle::new([(left - off, top - off), (right, bottom)], stroke(INK, 1)))?;
    Ok(())
}

/// A bar for each class, as long as its accuracy.
pub fn accuracies(area: &Area, confusion: &Confusion, grid: &Grid) -> Result<(), PictureError> {
    let (column, cell) = (grid.column(), grid.cell);
    let heading = text(17.0, FAINT_INK, CENTERED);
    area.draw_text("accuracy", &heading, (column + COLUMN_WIDTH / 2, TOP_SIDE - 12))?;
    for (class, share) in class_accuracy(confusion).into_iter().enumerate() {
        let y = grid.corner(class, 0).1;
        let (top, bottom) = match grid.numbered() {
            true => (y + cell / 5, y + cell - cell / 5),
            false => (y, y + cell - 1 - cell / 8),
        };
        let end = |share: f64| column + (f64::from(COLUMN_WIDTH) * share).round() as i32;
        let pale = shade(RIGHT_COLOR, 0.12).filled();
        area.draw(&Rectangle::new([(column, top), (end(1.0), bottom)], pale))?;
        let bar = shade(RIGHT_COLOR, 0.42).filled();
        area.draw(&Rectangle::new([(column, top), (end(share.unwrap_or(0.0)), bottom)], bar))?;
        if grid.numbered() {
            let label = share.map_or_else(|| "no samples".to_owned(), percent);
            let middle = (column + COLUMN_WIDTH / 2, y + cell / 2);
            area.draw_text(&label, &text(18.0, INK, MIDDLE), middle)?;
        }
    }
    Ok(())
}

/// From white, at 0, to `color`, at 1.
fn shade(color: RGBColor, strength: f64) -> RGBColor {
    let alpha = (strength.clamp(0.0, 1.0) * 255.0).round() as u8;
    RGBColor(mix(255, color.0, alpha), mix(255, color.1, alpha), mix(255, color.2, alpha))
}
