//! What pictures are drawn on: a bitmap or an SVG file, behind one plotters backend.
//!
//! Shapes and text go through plotters ([`Surface::area`]); the tens of thousands of dots of a picture go straight to
//! the surface, where they take milliseconds.

use std::convert::Infallible;

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontStyle,
};

use super::font::{Height, Line, Side, Weight};
use super::raster::{Raster, Rgb};
use super::svg::{Paint, Svg};

/// A picture in the making.
pub(super) enum Surface {
    Bitmap(Raster),
    Vector { svg: Svg, size: (u32, u32) },
}

/// A plotters area over a whole surface, in pixels.
pub(super) type Area<'a> = DrawingArea<Canvas<'a>, Shift>;

/// The plotters backend of a surface.
pub(super) struct Canvas<'a>(&'a mut Surface);

impl Surface {
    /// A white bitmap.
    pub fn bitmap((width, height): (u32, u32)) -> Self {
        Self::Bitmap(Raster::new(width, height))
    }

    /// A white SVG picture.
    pub fn vector((width, height): (u32, u32)) -> Self {
        Self::Vector { svg: Svg::new(width, height), size: (width, height) }
    }

    /// Everything plotters draws here lands on the surface at once.
    pub fn area(&mut self) -> Area<'_> {
        Canvas(self).into_drawing_area()
    }

    /// Many small discs, later ones over earlier ones.
    pub fn dots(&mut self, dots: impl Iterator<Item = ((f32, f32), Rgb)>, radius: f32) {
        match self {
            Self::Bitmap(raster) => raster.dots(dots, radius),
            Self::Vector { svg, .. } => svg.dots(&dots.collect::<Vec<_>>(), radius),
        }
    }

    fn fill(&mut self, from: BackendCoord, to: BackendCoord, color: BackendColor) {
        let paint = paint(color);
        match self {
            Self::Bitmap(raster) => raster.fill(from, to, paint.color, ink(color).1),
            Self::Vector { svg, .. } => svg.fill(from, to, &paint),
        }
    }

    fn polyline(&mut self, points: &[BackendCoord], style: &impl BackendStyle) {
        let (color, width) = (style.color(), style.stroke_width());
        match self {
            Self::Bitmap(raster) => {
                for ends in points.windows(2) {
                    raster.line(ends[0], ends[1], width as f32, ink(color));
                }
            }
            Self::Vector { svg, .. } => svg.polyline(points, width, &paint(color)),
        }
    }
}

fn paint(color: BackendColor) -> Paint {
    let (r, g, b) = color.rgb;
    Paint { color: [r, g, b], alpha: color.alpha }
}

fn ink(color: BackendColor) -> (Rgb, u8) {
    (paint(color).color, (color.alpha * 255.0).round() as u8)
}

fn line_of(text: &str, style: &impl BackendTextStyle) -> Line {
    let weight = match style.style() {
        FontStyle::Bold => Weight::Bold,
        _ => Weight::Regular,
    };
    let side = match style.anchor().h_pos {
        HPos::Left => Side::Start,
        HPos::Center => Side::Middle,
        HPos::Right => Side::End,
    };
    let height = match style.anchor().v_pos {
        VPos::Top => Height::Top,
        VPos::Center => Height::Middle,
        VPos::Bottom => Height::Baseline,
    };
    Line::new(text, style.size() as f32, weight).held_at(side, height)
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl DrawingBackend for Canvas<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        match &*self.0 {
            Surface::Bitmap(raster) => (raster.width, raster.height),
            Surface::Vector { size, .. } => *size,
        }
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Drawn {
        self.0.fill(point, point, color);
        Ok(())
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Drawn {
        self.0.polyline(&[from, to], style);
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        self.0.polyline(&path.into_iter().collect::<Vec<_>>(), style);
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        if fill {
            self.0.fill(from, to, style.color());
        } else {
            let corners = [from, (to.0, from.1), to, (from.0, to.1), from];
            self.0.polyline(&corners, style);
        }
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        (x, y): BackendCoord,
        radius: u32,
        style: &S,
        // The pictures have filled ones only.
        _fill: bool,
    ) -> Drawn {
        match self.0 {
            Surface::Bitmap(raster) => {
                raster.disc((x as f32, y as f32), radius as f32, ink(style.color()));
            }
            Surface::Vector { svg, .. } => {
                svg.disc((x, y), radius as f32, &paint(style.color()));
            }
        }
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        (x, y): BackendCoord,
    ) -> Drawn {
        let line = line_of(text, style);
        let turn = style.transform();
        match self.0 {
            Surface::Bitmap(raster) => line.paint(raster, ink(style.color()).0, |dx, dy| {
                let (dx, dy) = turn.transform(dx, dy);
                (x + dx, y + dy)
            }),
            Surface::Vector { svg, .. } => {
                // A turn's matrix, read off where it takes the two axes.
                let ((a, b), (c, d)) = (turn.transform(1, 0), turn.transform(0, 1));
                let matrix = format!("matrix({a} {b} {c} {d} {x} {y})");
                svg.text(text, &line.path(), &matrix, &paint(style.color()));
            }
        }
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        Ok((line_of(text, style).width.ceil() as u32, style.size().ceil() as u32))
    }
}
