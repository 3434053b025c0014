//! What is written around a confusion matrix.

use plotters::element::PathElement;
use plotters::style::FontTransform;

use super::grid::{Grid, TOP_SIDE};
use crate::results::picture::error::PictureError;
use crate::results::picture::style::{
    CENTERED, FAINT_INK, INK, LEFT, MIDDLE, RIGHT_MIDDLE, TOP, stroke, text,
};
use crate::results::picture::surface::Area;

/// From the matrix to the middle of a digit beside it, and to the end of longer labels.
const DIGIT: i32 = 22;
const BESIDE: i32 = 15;
/// From the matrix to the labels below.
const BELOW: i32 = 12;
/// Of the marks that tell which row is meant where not every one has a label.
const MARK: i32 = 6;

/// Draws names of classes and axes, and the note that says how to read the cells.
pub fn draw(area: &Area, grid: &Grid) -> Result<(), PictureError> {
    let bottom = grid.corner(grid.classes, 0).1;
    classes(area, grid, bottom)?;
    let style = text(19.0, FAINT_INK, CENTERED);
    let middle = grid.side() / 2;
    let below = bottom + grid.drop();
    area.draw_text("predicted class", &style, (grid.left + middle, below + 58))?;
    let upright = style.transform(FontTransform::Rotate270);
    let left = grid.left - 56 - grid.labels.beyond;
    area.draw_text("true class", &upright, (left, TOP_SIDE + middle))?;
    let note = text(16.0, FAINT_INK, LEFT);
    area.draw_text(&how_to_read(grid), &note, (grid.left, below + 92))?;
    Ok(())
}

fn classes(area: &Area, grid: &Grid, bottom: i32) -> Result<(), PictureError> {
    let labels = &grid.labels;
    let plain = |held| text(labels.size, INK, held);
    for (index, label) in labels.texts.iter().enumerate() {
        let class = index * labels.step;
        let ((x, _), (_, y)) = (grid.corner(0, class), grid.corner(class, 0));
        let (x, y) = (x + grid.cell / 2, y + grid.cell / 2);
        if labels.step > 1 {
            let line = stroke(INK, 1);
            area.draw(&PathElement::new([(grid.left - MARK, y), (grid.left, y)], line))?;
            area.draw(&PathElement::new([(x, bottom), (x, bottom + MARK)], line))?;
        }
        if labels.upright {
            let style = plain(RIGHT_MIDDLE).transform(FontTransform::Rotate270);
            area.draw_text(label, &style, (x, bottom + BELOW))?;
        } else {
            area.draw_text(label, &plain(TOP), (x, bottom + BELOW))?;
        }
        if labels.beyond > 0 {
            area.draw_text(label, &plain(RIGHT_MIDDLE), (grid.left - BESIDE, y))?;
        } else {
            area.draw_text(label, &plain(MIDDLE), (grid.left - DIGIT, y))?;
        }
    }
    Ok(())
}

fn how_to_read(grid: &Grid) -> String {
    if grid.numbered() {
        return "numbers are samples; shade grows with their share of the true class, of mistakes as its fourth root"
            .to_owned();
    }
    let pixels = if grid.cell == 1 { "pixel" } else { "pixels" };
    format!(
        "shade grows with the share of the true class, of mistakes as its fourth root; \
         a cell is {0} × {0} {pixels}, none are put together",
        grid.cell
    )
}
