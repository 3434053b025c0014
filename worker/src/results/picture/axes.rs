//! A rectangle of a picture with a scale on two sides: where a value falls, and how the frame looks.

use plotters::element::{PathElement, Rectangle};
use plotters::style::{Color, FontTransform};

use super::error::PictureError;
use super::extent::Window;
use super::style::{
    AXES_BACKGROUND, CENTERED, FAINT_INK, GRID, INK, RIGHT_MIDDLE, TOP, Unit, stroke, text,
};
use super::surface::Area;
use super::ticks::{self, Tick};

/// A frame's pixels; the values of its window's ends lie on its sides.
pub(super) struct Axes {
    pub left: i32,
    pub top: i32,
    pub right: i32,
    pub bottom: i32,
    pub window: Window,
    pub y_scale: Scale,
}

/// How values spread along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    Linear,
    /// Equal ratios are equally long. Values must be positive.
    Logarithmic,
}

/// What is written around a frame.
pub(super) struct Labels<'a> {
    pub x_ticks: &'a [Tick],
    pub y_ticks: &'a [Tick],
    pub x_name: &'a str,
    pub y_name: &'a str,
}

impl Axes {
    /// Where a point falls, in pixels.
    pub fn place(&self, [x, y]: [f64; 2]) -> (f32, f32) {
        let [y_low, y_high] = self.window.y.map(|end| self.y_scale.of(end));
        let across = (x - self.window.x[0]) / (self.window.x[1] - self.window.x[0]);
        let up = (self.y_scale.of(y) - y_low) / (y_high - y_low);
        let (width, height) =
            (f64::from(self.right - self.left), f64::from(self.bottom - self.top));
        (
            (f64::from(self.left) + across * width) as f32,
            (f64::from(self.bottom) - up * height) as f32,
        )
    }

    /// The nearest pixel to a point.
    pub fn pixel(&self, point: [f64; 2]) -> (i32, i32) {
        let (x, y) = self.place(point);
        (x.round() as i32, y.round() as i32)
    }

    /// Round marks for the x axis, `spacing` pixels apart or more.
    pub fn x_ticks(&self, spacing: i32) -> Vec<Tick> {
        let wanted = ((self.right - self.left) / spacing.max(1)) as usize;
        ticks::linear(self.window.x[0], self.window.x[1], wanted)
    }

    /// Round marks for the y axis, likewise.
    pub fn y_ticks(&self, spacing: i32) -> Vec<Tick> {
        let wanted = ((self.bottom - self.top) / spacing.max(1)) as usize;
        let [low, high] = self.window.y;
        match self.y_scale {
            Scale::Linear => ticks::linear(low, high, wanted),
            Scale::Logarithmic => ticks::logarithmic(low, high),
        }
    }

    /// Background, grid, frame and everything written outside it.
    pub fn draw(&self, area: &Area, labels: &Labels, unit: Unit) -> Result<(), PictureError> {
        let Self { left, top, right, bottom, .. } = *self;
        area.draw(&Rectangle::new([(left, top), (right, bottom)], AXES_BACKGROUND.filled()))?;
        let (mark, line) = (unit.px(7), stroke(INK, unit.px(1)));
        for tick in labels.x_ticks {
            let x = self.pixel([tick.value, self.window.y[0]]).0;
            area.draw(&PathElement::new([(x, top), (x, bottom)], stroke(GRID, unit.px(2))))?;
            area.draw(&PathElement::new([(x, bottom), (x, bottom + mark)], line))?;
            let style = text(unit.text(17.0), INK, TOP);
            area.draw_text(&tick.label, &style, (x, bottom + mark + unit.px(6)))?;
        }
        for tick in labels.y_ticks {
            let y = self.pixel([self.window.x[0], tick.value]).1;
            area.draw(&PathElement::new([(left, y), (right, y)], stroke(GRID, unit.px(2))))?;
            area.draw(&PathElement::new([(left - mark, y), (left, y)], line))?;
            let style = text(unit.text(17.0), INK, RIGHT_MIDDLE);
            area.draw_text(&tick.label, &style, (left - mark - unit.px(5), y))?;
        }
        area.draw(&Rectangle::new([(left, top), (right, bottom)], line))?;
        self.name(area, labels, unit)
    }

    fn name(&self, area: &Area, labels: &Labels, unit: Unit) -> Result<(), PictureError> {
        let style = text(unit.text(18.0), FAINT_INK, CENTERED);
        let middle = ((self.left + self.right) / 2, (self.top + self.bottom) / 2);
        area.draw_text(labels.x_name, &style, (middle.0, self.bottom + unit.px(54)))?;
        let upright = style.transform(FontTransform::Rotate270);
        area.draw_text(labels.y_name, &upright, (self.left - unit.px(70), middle.1))?;
        Ok(())
    }
}

impl Scale {
    fn of(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Logarithmic => libm::log2(value.max(f64::MIN_POSITIVE)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_fall_on_the_sides() {
        let window = Window { x: [-2.0, 6.0], y: [0.01, 100.0] };
        let axes = |y_scale| Axes { left: 10, top: 20, right: 110, bottom: 220, window, y_scale };
        let linear = axes(Scale::Linear);
        assert_eq!(linear.pixel([-2.0, 0.01]), (10, 220));
        assert_eq!(linear.pixel([6.0, 100.0]), (110, 20));
        assert_eq!(axes(Scale::Logarithmic).pixel([2.0, 1.0]), (60, 120));
    }
}
