//! The class centers: white dots with a dark rim, each with its mark beside it (`marks`, `places`), none over another.

use plotters::element::{Circle, PathElement};
use plotters::style::Color;

use super::axes::Axes;
use super::error::PictureError;
use super::fit::width;
use super::font::Weight;
use super::marks::{Marks, Setting};
use super::places::{Board, DIRECTIONS};
use super::style::{INK, LEFT_MIDDLE, MIDDLE, PAPER, Unit, bold, stroke, text};
use super::surface::Area;

/// Of a dot, of the full-size layout as are all lengths here.
const RIM: i32 = 2;
/// With more marks than this the white around each is drawn in half the directions, which is as good in small letters.
const FEW_MARKS: usize = 20;

/// Draws the dots and marks of `centers`, one for each class, into `axes`.
pub(super) fn draw(
    area: &Area,
    axes: &Axes,
    centers: &[[f64; 2]],
    (marks, unit): (&Marks, Unit),
) -> Result<(), PictureError> {
    let dots: Vec<_> = centers.iter().map(|center| axes.pixel(*center)).collect();
    let size = marks.setting.size(unit);
    let digit = width("0", size, Weight::Bold);
    let beyond = |text: &String| (width(text, size, Weight::Bold) - digit).max(0) / 2;
    let wider: Vec<i32> = marks.texts.iter().map(beyond).collect();
    let sides = [axes.left, axes.top, axes.right, axes.bottom];
    let places = Board { dots: &dots, sides, wider: &wider, unit }.place(marks);
    for (dot, place) in dots.iter().zip(&places) {
        if let Some(place) = place.filter(|place| place.far) {
            area.draw(&PathElement::new([*dot, place.middle], stroke(INK, unit.px(1))))?;
        }
    }
    for &place in &dots {
        dot(area, place, &marks.setting, unit)?;
    }
    for (mark, place) in marks.texts.iter().zip(&places) {
        if let Some(place) = place {
            haloed(area, mark, place.middle, (marks, unit))?;
        }
    }
    Ok(())
}

/// Says what the dots are, beginning at the middle of a line's left end.
pub(super) fn explain(
    area: &Area,
    (left, y): (i32, i32),
    (marks, unit): (&Marks, Unit),
) -> Result<(), PictureError> {
    dot(area, (left + unit.px(10), y), &marks.setting, unit)?;
    let label = text(unit.text(19.0), INK, LEFT_MIDDLE);
    area.draw_text("center", &label, (left + unit.px(26), y))?;
    Ok(())
}

/// The mark of a center.
fn dot(area: &Area, place: (i32, i32), setting: &Setting, unit: Unit) -> Result<(), PictureError> {
    let radius = unit.px(setting.radius);
    area.draw(&Circle::new(place, radius, INK.filled()))?;
    area.draw(&Circle::new(place, radius - unit.px(RIM).max(1), PAPER.filled()))?;
    Ok(())
}

/// Bold words, readable on any colour by the white around them.
fn haloed(
    area: &Area,
    words: &str,
    (x, y): (i32, i32),
    (marks, unit): (&Marks, Unit),
) -> Result<(), PictureError> {
    let size = marks.setting.size(unit);
    let halo = bold(size, PAPER, MIDDLE);
    let each = if marks.texts.len() > FEW_MARKS { 2 } else { 1 };
    for (dx, dy) in DIRECTIONS.into_iter().step_by(each) {
        let reach = unit.px(3).max(1);
        area.draw_text(words, &halo, (x + dx * reach / 64, y + dy * reach / 64))?;
    }
    area.draw_text(words, &bold(size, INK, MIDDLE), (x, y))?;
    Ok(())
}
