//! Colours and sizes that all pictures share. Those of the classes are in `colors`.

use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontStyle, RGBColor, ShapeStyle, TextStyle};

/// Behind the dots: dark enough for yellow and cyan, light enough for blue and dark red.
pub(super) const AXES_BACKGROUND: RGBColor = RGBColor(0xd9, 0xd9, 0xdf);
/// Lines of the grid.
pub(super) const GRID: RGBColor = RGBColor(0xec, 0xec, 0xf0);
/// Frames, rims and text.
pub(super) const INK: RGBColor = RGBColor(0x20, 0x22, 0x28);
/// Text of lesser weight.
pub(super) const FAINT_INK: RGBColor = RGBColor(0x5c, 0x60, 0x6a);
/// Says that something is not what it seems.
pub(super) const WARNING: RGBColor = RGBColor(0xc6, 0x1a, 0x1a);
/// Paper.
pub(super) const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);

/// Held at the left end of its baseline.
pub(super) const LEFT: Pos = Pos { h_pos: HPos::Left, v_pos: VPos::Bottom };
/// Held at the middle of its baseline.
pub(super) const CENTERED: Pos = Pos { h_pos: HPos::Center, v_pos: VPos::Bottom };
/// Held at the right end of its baseline.
pub(super) const RIGHT: Pos = Pos { h_pos: HPos::Right, v_pos: VPos::Bottom };
/// Held at its very middle.
pub(super) const MIDDLE: Pos = Pos { h_pos: HPos::Center, v_pos: VPos::Center };
/// Held at the middle of its left side.
pub(super) const LEFT_MIDDLE: Pos = Pos { h_pos: HPos::Left, v_pos: VPos::Center };
/// Held at the middle of its right side.
pub(super) const RIGHT_MIDDLE: Pos = Pos { h_pos: HPos::Right, v_pos: VPos::Center };
/// Held at the middle of its upper side.
pub(super) const TOP: Pos = Pos { h_pos: HPos::Center, v_pos: VPos::Top };

/// A picture's scale: how many pixels a length of the full-size layout takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Unit(pub f64);

impl Unit {
    /// A length of the full-size layout, in pixels.
    pub fn px(self, length: i32) -> i32 {
        (f64::from(length) * self.0).round() as i32
    }

    /// A font's size. Text shrinks less than the rest, to stay readable.
    pub fn text(self, size: f64) -> f64 {
        size * if self.0 < 1.0 { 0.3 + 0.7 * self.0 } else { self.0 }
    }
}

/// Plain text of `size` pixels to the em.
pub(super) fn text(size: f64, color: RGBColor, held: Pos) -> TextStyle<'static> {
    styled(FontDesc::from(("sans-serif", size)), color, held)
}

/// Bold text.
pub(super) fn bold(size: f64, color: RGBColor, held: Pos) -> TextStyle<'static> {
    styled(FontDesc::from(("sans-serif", size, FontStyle::Bold)), color, held)
}

fn styled(font: FontDesc<'static>, color: RGBColor, held: Pos) -> TextStyle<'static> {
    TextStyle { font, color: color.to_backend_color(), pos: held }
}

/// A line of `width` pixels.
pub(super) fn stroke(color: RGBColor, width: i32) -> ShapeStyle {
    color.stroke_width(width.max(1) as u32)
}

/// A share as percent, e.g. `98.05 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// A count with its thousands parted, e.g. `60,000`.
pub(super) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(
            [0, 999, 1000, 60_000, 1_234_567].map(count).join(" "),
            "0 999 1,000 60,000 1,234,567"
        );
        assert_eq!(percent(0.98049), "98.05 %");
    }
}
