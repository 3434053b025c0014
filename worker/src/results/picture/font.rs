//! The two embedded fonts, and where each glyph of a line of text goes.
//!
//! DejaVu Sans and DejaVu Sans Bold, cut down to Latin, Greek and Cyrillic letters and a few signs (`font/`, licence
//! beside them). What else a class may be called is for `names` to find out, by [`has_glyph`]. The texts of pictures are laid out here rather than by plotters, which drops the space in front of a glyph and rounds
//! every position to whole pixels.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, GlyphId, OutlineCurve, Point, PxScale};

use super::raster::{Raster, Rgb};

static REGULAR: LazyLock<FontRef<'static>> =
    LazyLock::new(|| embedded(include_bytes!("font/DejaVuSans-subset.ttf")));
static BOLD: LazyLock<FontRef<'static>> =
    LazyLock::new(|| embedded(include_bytes!("font/DejaVuSans-Bold-subset.ttf")));

fn embedded(bytes: &'static [u8]) -> FontRef<'static> {
    FontRef::try_from_slice(bytes).expect("the embedded fonts are whole, a test reads them")
}

/// Height of a capital letter, as a share of the font's size.
const CAPITAL_HEIGHT: f32 = 0.729;

/// Whether both fonts have a glyph for a letter or sign.
pub(super) fn has_glyph(sign: char) -> bool {
    [&*REGULAR, &*BOLD].iter().all(|font| font.glyph_id(sign).0 != 0)
}

/// Which of the two fonts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Bold,
}

/// Where a line of text is held, horizontally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Start,
    Middle,
    End,
}

/// Which height of a line of text is held: capitals' tops, their middles, or the line they stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Height {
    Top,
    Middle,
    Baseline,
}

/// A line of text around the point (0, 0), in pixels, y downwards.
pub(super) struct Line {
    font: &'static FontRef<'static>,
    size: f32,
    /// Left end and baseline of every glyph.
    glyphs: Vec<(GlyphId, Point)>,
    /// From the first glyph's start to the last one's end.
    pub width: f32,
}

impl Line {
    /// Lays out `text` in a font of `size` pixels to the em.
    pub fn new(text: &str, size: f32, weight: Weight) -> Self {
        let font: &'static FontRef = match weight {
            Weight::Regular => &REGULAR,
            Weight::Bold => &BOLD,
        };
        let unit = size / font.units_per_em().unwrap_or(1.0);
        let mut glyphs: Vec<(GlyphId, Point)> = Vec::new();
        let mut x = 0.0;
        for glyph in text.chars().map(|c| font.glyph_id(c)) {
            if let Some(&(previous, _)) = glyphs.last() {
                x += font.kern_unscaled(previous, glyph) * unit;
            }
            glyphs.push((glyph, ab_glyph::point(x, 0.0)));
            x += font.h_advance_unscaled(glyph) * unit;
        }
        Self { font, size, glyphs, width: x }
    }

    /// Moves the line so that (0, 0) is where it is held.
    pub fn held_at(mut self, side: Side, height: Height) -> Self {
        let dx = match side {
            Side::Start => 0.0,
            Side::Middle => -self.width / 2.0,
            Side::End => -self.width,
        };
        let dy = match height {
            Height::Top => self.size * CAPITAL_HEIGHT,
            Height::Middle => self.size * CAPITAL_HEIGHT / 2.0,
            Height::Baseline => 0.0,
        };
        for (_, start) in &mut self.glyphs {
            // A whole baseline keeps the letters' feet sharp.
            *start = ab_glyph::point(start.x + dx, (start.y + dy).round());
        }
        self
    }

    /// Draws into a bitmap. `place` says where a pixel of the line goes.
    pub fn paint(&self, raster: &mut Raster, color: Rgb, place: impl Fn(i32, i32) -> (i32, i32)) {
        let units = self.font.units_per_em().unwrap_or(1.0);
        let scale = PxScale::from(self.size * self.font.height_unscaled() / units);
        for &(glyph, start) in &self.glyphs {
            let glyph = glyph.with_scale_and_position(scale, start);
            let Some(outline) = self.font.outline_glyph(glyph) else {
                continue;
            };
            let corner = outline.px_bounds().min;
            outline.draw(|x, y, covered| {
                let (x, y) = (corner.x as i32 + x as i32, corner.y as i32 + y as i32);
                raster.blend(place(x, y), color, (covered.clamp(0.0, 1.0) * 255.0).round() as u8);
            });
        }
    }

    /// The outlines as an SVG path.
    pub fn path(&self) -> String {
        let mut path = String::new();
        let unit = self.size / self.font.units_per_em().unwrap_or(1.0);
        for &(glyph, start) in &self.glyphs {
            let to = |p: Point| format!("{:.2} {:.2}", start.x + p.x * unit, start.y - p.y * unit);
            let mut end = None;
            for curve in self.font.outline(glyph).map_or_else(Vec::new, |outline| outline.curves) {
                let (from, command, last) = match curve {
                    OutlineCurve::Line(a, b) => (a, format!("L{}", to(b)), b),
                    OutlineCurve::Quad(a, b, c) => (a, format!("Q{} {}", to(b), to(c)), c),
                    OutlineCurve::Cubic(a, b, c, d) => {
                        (a, format!("C{} {} {}", to(b), to(c), to(d)), d)
                    }
                };
                if end != Some(from) {
                    path.push_str(&format!("M{}", to(from)));
                }
                path.push_str(&command);
                end = Some(last);
            }
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fonts_hold_every_sign_that_is_used() {
        let letters = ('À'..='ſ').chain('α'..='ω').chain('А'..='я');
        for sign in (' '..='~').chain("±·×–—…−≤≥→".chars()).chain(letters) {
            assert!(has_glyph(sign), "{sign:?} is missing");
        }
        assert!(!has_glyph('字') && !has_glyph('\n'));
    }

    #[test]
    fn text_is_held_where_it_says() {
        let ink = |side, height| {
            let mut raster = Raster::new(100, 100);
            let line = Line::new("H", 40.0, Weight::Bold).held_at(side, height);
            line.paint(&mut raster, [0; 3], |x, y| (50 + x, 50 + y));
            let dark = |i: &usize| raster.pixels[3 * i] < 128;
            let x = (0..10_000).filter(dark).map(|i| i % 100);
            let y = (0..10_000).filter(dark).map(|i| i / 100);
            [x.clone().min(), x.max(), y.clone().min(), y.max()].map(|v| v.unwrap() as i32)
        };
        let [left, right, top, bottom] = ink(Side::Middle, Height::Middle);
        assert!((left + right - 100).abs() <= 2 && (top + bottom - 99).abs() <= 2);
        let [left, _, _, bottom] = ink(Side::Start, Height::Baseline);
        assert!(left >= 50 && bottom == 49);
        let [_, right, top, _] = ink(Side::End, Height::Top);
        assert!(right < 50 && (50..=51).contains(&top));
    }
}
