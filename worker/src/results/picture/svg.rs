//! A picture as SVG. Text is written as outlines, so that it looks the same where the font is not installed.

use std::collections::HashSet;
use std::fmt::Write;

use super::raster::Rgb;

/// Dots are placed to this part of a pixel.
const DOT_UNITS: f32 = 4.0;
/// The dots are written in this many rounds of one path for each colour, so that no colour always lies on top.
const ROUNDS: usize = 8;

/// The elements so far.
pub(super) struct Svg {
    width: u32,
    height: u32,
    body: String,
}

impl Svg {
    /// A white picture.
    pub fn new(width: u32, height: u32) -> Self {
        Self { width, height, body: String::new() }
    }

    /// The file.
    pub fn finish(self) -> String {
        let Self { width, height, body } = self;
        // Pixel (x, y) of a bitmap is the unit square around that point.
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"-0.5 -0.5 {width} {height}\">\n\
             <rect x=\"-0.5\" y=\"-0.5\" width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
             {body}</svg>\n"
        )
    }

    /// A filled rectangle, both corner pixels included.
    pub fn fill(&mut self, (x0, y0): (i32, i32), (x1, y1): (i32, i32), paint: &Paint) {
        let (x, y, width, height) = (x0 as f32 - 0.5, y0 as f32 - 0.5, x1 - x0 + 1, y1 - y0 + 1);
        self.element(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" {}/>",
            paint.fill()
        ));
    }

    /// Straight lines from point to point.
    pub fn polyline(&mut self, points: &[(i32, i32)], width: u32, paint: &Paint) {
        let mut path = String::new();
        for (index, (x, y)) in points.iter().enumerate() {
            let space = if index > 0 { " " } else { "" };
            path.push_str(&format!("{space}{x},{y}"));
        }
        self.element(format_args!(
            "<polyline points=\"{path}\" fill=\"none\" stroke-linejoin=\"round\" {}/>",
            paint.stroke(width as f32)
        ));
    }

    /// A disc.
    pub fn disc(&mut self, (x, y): (i32, i32), radius: f32, paint: &Paint) {
        let fill = paint.fill();
        self.element(format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" {fill}/>"));
    }

    /// Outlines of a line of text, moved and turned by `transform`.
    pub fn text(&mut self, text: &str, path: &str, transform: &str, paint: &Paint) {
        let label: String = text.chars().map(escaped).collect();
        let fill = paint.fill();
        self.element(format_args!(
            "<path aria-label=\"{label}\" transform=\"{transform}\" d=\"{path}\" {fill}/>"
        ));
    }

    /// Many small discs of one size. Those of one colour at one place are written once.
    pub fn dots(&mut self, dots: &[((f32, f32), Rgb)], radius: f32) {
        let mut colors: Vec<Rgb> = dots.iter().map(|dot| dot.1).collect();
        colors.sort_unstable();
        colors.dedup();
        let mut seen = HashSet::new();
        let scale = 1.0 / DOT_UNITS;
        self.element(format_args!(
            "<g transform=\"scale({scale})\" fill=\"none\" stroke-linecap=\"round\" \
             stroke-width=\"{}\">",
            2.0 * radius * DOT_UNITS
        ));
        for round in dots.chunks(dots.len().div_ceil(ROUNDS).max(1)) {
            for color in &colors {
                let places = round.iter().filter(|dot| dot.1 == *color).map(|((x, y), _)| {
                    ((x * DOT_UNITS).round() as i32, (y * DOT_UNITS).round() as i32)
                });
                let path = dot_path(places.filter(|place| seen.insert((*place, *color))));
                if !path.is_empty() {
                    self.element(format_args!("<path stroke=\"{}\" d=\"{path}\"/>", hex(*color)));
                }
            }
        }
        self.element(format_args!("</g>"));
    }

    fn element(&mut self, element: std::fmt::Arguments) {
        writeln!(self.body, "{element}").expect("a string takes everything");
    }
}

/// A character within quotes; those that XML forbids become the sign for what cannot be read.
fn escaped(sign: char) -> String {
    match sign {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\u{fffe}' | '\u{ffff}' => '\u{fffd}'.to_string(),
        _ if sign.is_control() => '\u{fffd}'.to_string(),
        _ => sign.to_string(),
    }
}

/// A line of no length at each place, which round ends make a dot. Relative, to be short.
fn dot_path(places: impl Iterator<Item = (i32, i32)>) -> String {
    let mut path = String::new();
    let (mut last_x, mut last_y) = (0, 0);
    for (x, y) in places {
        let (dx, dy) = (x - last_x, y - last_y);
        let space = if dy < 0 { "" } else { " " };
        path.push_str(&format!("m{dx}{space}{dy}h0"));
        (last_x, last_y) = (x, y);
    }
    path
}

/// A colour and how much it covers.
pub(super) struct Paint {
    pub color: Rgb,
    pub alpha: f64,
}

impl Paint {
    fn fill(&self) -> String {
        match self.alpha {
            1.0 => format!("fill=\"{}\"", hex(self.color)),
            alpha => format!("fill=\"{}\" fill-opacity=\"{alpha}\"", hex(self.color)),
        }
    }

    fn stroke(&self, width: f32) -> String {
        let Self { color, alpha } = self;
        let opacity =
            if *alpha == 1.0 { String::new() } else { format!(" stroke-opacity=\"{alpha}\"") };
        format!("stroke=\"{}\" stroke-width=\"{width}\"{opacity}", hex(*color))
    }
}

fn hex([r, g, b]: Rgb) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}
