//! The loud sign on every picture of a run that saw no real image.

use plotters::element::Rectangle;
use plotters::style::Color;

use super::error::PictureError;
use super::style::{MIDDLE, PAPER, Unit, WARNING, bold};
use super::surface::Area;

const WORDS: &str = "SYNTHETIC DIGITS";

/// Draws the sign at the top of a picture, ending at `right`. Returns where it starts.
pub(super) fn synthetic(area: &Area, right: i32, unit: Unit) -> Result<i32, PictureError> {
    let style = bold(unit.text(20.0), PAPER, MIDDLE);
    let (width, height) = (area.estimate_text_size(WORDS, &style)?.0 as i32, unit.px(36));
    let (left, top) = (right - width - unit.px(24), unit.px(18));
    area.draw(&Rectangle::new([(left, top), (right, top + height)], WARNING.filled()))?;
    area.draw_text(WORDS, &style, ((left + right) / 2, top + height / 2))?;
    Ok(left)
}
