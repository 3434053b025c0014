//! The legend: every class's colour with its name, in as many columns as it takes.
//!
//! Ten digits stand in one column of large rows. More classes, or longer names, take smaller rows and more columns, then
//! shorter names; where even these do not hold them all, the first ones are listed and a line below says how many are
//! not. Laid out for the picture of features, which is as wide as its legend needs.

use plotters::element::{Circle, Rectangle};
use plotters::style::{Color, RGBColor};

use super::colors::class_color;
use super::error::PictureError;
use super::fit::{shortened, width};
use super::font::Weight;
use super::names::Names;
use super::style::{
    AXES_BACKGROUND, CENTERED, FAINT_INK, INK, LEFT_MIDDLE, RIGHT_MIDDLE, Unit, count, stroke, text,
};
use super::surface::Area;

/// Height of the box and least and most width of it, of the full-size layout as are all lengths here.
const HEIGHT: i32 = 628;
const NARROWEST: i32 = 88;
const WIDEST: i32 = 500;
/// Room for a name: the first with which all have room is taken.
const NAME_WIDTHS: [i32; 3] = [190, 130, 90];
/// Right of each name.
const GAP: i32 = 18;
/// Between a number and its name.
const NUMBER_GAP: i32 = 7;

/// How closely the rows stand.
struct Density {
    row: i32,
    /// From the box's top to the middle of its first row.
    edge: i32,
    /// From a column's left to the middle of its dots, and their radius.
    dot: (i32, i32),
    /// From a column's left to its texts.
    text: i32,
    letters: f64,
    /// No more columns than this.
    columns: i32,
}

/// From the roomiest to the closest.
const DENSITIES: [Density; 4] = [
    Density { row: 42, edge: 30, dot: (28, 10), text: 52, letters: 21.0, columns: 2 },
    Density { row: 30, edge: 25, dot: (22, 8), text: 40, letters: 18.0, columns: 3 },
    Density { row: 23, edge: 20, dot: (18, 6), text: 32, letters: 15.5, columns: 4 },
    Density { row: 17, edge: 16, dot: (15, 5), text: 26, letters: 13.0, columns: 12 },
];

/// What is listed, and how.
pub(super) struct Legend {
    unit: Unit,
    density: &'static Density,
    classes: usize,
    /// Those of the classes that are listed.
    names: Vec<String>,
    /// Pixels of the widest number before a name; 0 where names are not numbered.
    numbers: i32,
    rows: usize,
    /// From one column to the next, in pixels.
    pitch: i32,
    /// Of the box, in pixels.
    pub width: i32,
}

impl Legend {
    /// Lists `names`, with the classes' numbers before them if `numbered`.
    pub fn new(names: &Names, numbered: bool, unit: Unit) -> Self {
        let mut layouts = NAME_WIDTHS.into_iter().flat_map(|most| {
            let with = move |density| Self::with(density, unit.px(most), (names, numbered, unit));
            DENSITIES.iter().map(with)
        });
        let mut last = None;
        let fitting = layouts.find_map(|layout| {
            if layout.names.len() == names.count() {
                return Some(layout);
            }
            last = Some(layout);
            None
        });
        fitting.or(last).expect("there are densities")
    }

    fn with(
        density: &'static Density,
        most: i32,
        (names, numbered, unit): (&Names, bool, Unit),
    ) -> Self {
        let (classes, size) = (names.count(), unit.text(density.letters));
        let wide = |text: &str| width(text, size, Weight::Regular);
        let numbers = if numbered { wide(&classes.saturating_sub(1).to_string()) } else { 0 };
        let label = |class: usize| match numbered {
            true => names.name(class).unwrap_or_default().to_owned(),
            false => names.label(class),
        };
        let mut labels: Vec<String> = (0..classes)
            .map(|class| shortened(&label(class), size, Weight::Regular, most))
            .collect();
        let widest = labels.iter().map(|label| wide(label)).max().unwrap_or(0);
        let before = if numbered { numbers + unit.px(NUMBER_GAP) } else { 0 };
        let pitch = unit.px(density.text) + before + widest + unit.px(GAP);
        let full = ((HEIGHT - 2 * density.edge) / density.row + 1) as usize;
        let columns = (unit.px(WIDEST) / pitch).clamp(1, density.columns) as usize;
        labels.truncate(columns * full);
        let used = labels.len().div_ceil(full).max(1);
        let rows = labels.len().div_ceil(used).max(1);
        let width = (pitch * used as i32).max(unit.px(NARROWEST));
        Self { unit, density, classes, names: labels, numbers, rows, pitch, width }
    }

    /// Draws heading and box, the box's upper left corner at a pixel.
    pub fn draw(&self, area: &Area, (left, top): (i32, i32)) -> Result<(), PictureError> {
        let unit = self.unit;
        let (right, bottom) = (left + self.width, self.bottom(top));
        let heading = text(unit.text(19.0), INK, CENTERED);
        area.draw_text("class", &heading, ((left + right) / 2, top - unit.px(11)))?;
        area.draw(&Rectangle::new([(left, top), (right, bottom)], AXES_BACKGROUND.filled()))?;
        area.draw(&Rectangle::new([(left, top), (right, bottom)], stroke(INK, unit.px(1))))?;
        for class in 0..self.names.len() {
            let column = (class / self.rows) as i32;
            self.entry(
                area,
                class,
                (left + column * self.pitch, self.row(top, class % self.rows)),
            )?;
        }
        let missing = self.classes - self.names.len();
        if missing > 0 {
            let words = format!("and {} more", count(missing));
            let style = text(unit.text(17.0), FAINT_INK, RIGHT_MIDDLE);
            area.draw_text(&words, &style, (right, self.below((left, top)).1))?;
        }
        Ok(())
    }

    /// The left end and middle of a line below the box.
    pub fn below(&self, (left, top): (i32, i32)) -> (i32, i32) {
        (left, self.bottom(top) + self.unit.px(36))
    }

    fn entry(&self, area: &Area, class: usize, (x, y): (i32, i32)) -> Result<(), PictureError> {
        let (unit, density) = (self.unit, self.density);
        let [r, g, b] = class_color(class);
        let (middle, radius) = density.dot;
        let color = RGBColor(r, g, b).filled();
        area.draw(&Circle::new((x + unit.px(middle), y), unit.px(radius), color))?;
        let size = unit.text(density.letters);
        let mut start = x + unit.px(density.text);
        if self.numbers > 0 {
            start += self.numbers;
            let style = text(size, FAINT_INK, RIGHT_MIDDLE);
            area.draw_text(&class.to_string(), &style, (start, y))?;
            start += unit.px(NUMBER_GAP);
        }
        area.draw_text(&self.names[class], &text(size, INK, LEFT_MIDDLE), (start, y))?;
        Ok(())
    }

    fn row(&self, top: i32, index: usize) -> i32 {
        top + self.unit.px(self.density.edge + self.density.row * index as i32)
    }

    fn bottom(&self, top: i32) -> i32 {
        self.row(top, self.rows - 1) + self.unit.px(self.density.edge)
    }
}

#[cfg(test)]
#[path = "legend/tests.rs"]
mod tests;
