//! What lies where in a confusion matrix, and what its axes say.

use crate::results::picture::fit::{shortened, width};
use crate::results::picture::font::Weight;
use crate::results::picture::names::Names;

/// Of more classes cells have no numbers.
pub const MOST_NUMBERED: usize = 26;
/// Left of the matrix where labels are digits, and above it.
const LEFT_SIDE: i32 = 110;
pub const TOP_SIDE: i32 = 138;
/// About as wide and high as a matrix, with numbers and without.
const NUMBERED_SIDE: usize = 700;
const IMAGE_SIDE: usize = 1000;
/// The largest cell, and the smallest one that numbers have room in.
const LARGEST_CELL: usize = 140;
const SMALLEST_CELL: usize = 44;
/// From the matrix to the column of accuracies.
const BESIDE: i32 = 24;
pub const COLUMN_WIDTH: i32 = 122;
/// Right of everything.
const MARGIN: i32 = 44;
/// Room for the note below.
const NARROWEST: i32 = 890;
/// Of a label.
const LONGEST_LABEL: i32 = 170;
/// From one label to the next, at least.
const LABEL_PITCH: usize = 16;
/// Of the list of pairs: its heading, what stands beside two names, and the room for each of these.
const PAIRS_HEADING: i32 = 360;
const PAIRS_BESIDE: i32 = 190;
pub const PAIRS_NAME: i32 = 142;
pub const PAIRS_LETTERS: f64 = 16.0;

/// The layout of a matrix.
pub struct Grid {
    pub classes: usize,
    /// Width and height of a cell.
    pub cell: i32,
    /// Of the matrix.
    pub left: i32,
    pub labels: Labels,
    /// Width of the list of pairs.
    pub pairs_width: i32,
}

/// What is written along both axes.
pub struct Labels {
    pub size: f64,
    /// Every how many classes there is one.
    pub step: usize,
    /// In order.
    pub texts: Vec<String>,
    /// Pixels of the widest one, and how many of these are more than a digit's.
    pub widest: i32,
    pub beyond: i32,
    /// Whether those below stand upright, having no room side by side.
    pub upright: bool,
}

impl Grid {
    pub fn new(names: &Names) -> Self {
        let classes = names.count().max(1);
        let cell = match classes {
            ..=MOST_NUMBERED => (NUMBERED_SIDE / classes).clamp(SMALLEST_CELL, LARGEST_CELL),
            _ => ((IMAGE_SIDE + classes / 2) / classes).max(1),
        };
        let labels = Labels::new(names, cell);
        let name = |class| width(&names.label(class), PAIRS_LETTERS, Weight::Regular);
        let widest = (0..names.count()).map(name).max().unwrap_or(0).min(PAIRS_NAME);
        let pairs_width = (PAIRS_BESIDE + 2 * widest).max(PAIRS_HEADING);
        Self { classes, cell: cell as i32, left: LEFT_SIDE + labels.beyond, labels, pairs_width }
    }

    /// Whether cells have numbers.
    pub fn numbered(&self) -> bool {
        self.classes <= MOST_NUMBERED
    }

    /// Width and height of the matrix.
    pub fn side(&self) -> i32 {
        self.cell * self.classes as i32
    }

    /// The upper left corner of a cell.
    pub fn corner(&self, row: usize, column: usize) -> (i32, i32) {
        (self.left + self.cell * column as i32, TOP_SIDE + self.cell * row as i32)
    }

    /// Left end of the accuracies.
    pub fn column(&self) -> i32 {
        self.left + self.side() + BESIDE
    }

    /// Left end of the pairs.
    pub fn pairs(&self) -> i32 {
        self.column() + COLUMN_WIDTH + MARGIN
    }

    /// Where the matrix ends with everything beside it.
    pub fn right_end(&self) -> i32 {
        let end = match self.numbered() {
            true => self.column() + COLUMN_WIDTH,
            false => self.pairs() + self.pairs_width,
        };
        end.max(self.left + NARROWEST - MARGIN)
    }

    /// How far labels below the matrix reach beyond a line's height.
    pub fn drop(&self) -> i32 {
        if self.labels.upright { (self.labels.widest - 14).max(0) } else { 0 }
    }

    /// Of the picture, in pixels.
    pub fn size(&self) -> (u32, u32) {
        let height = TOP_SIDE + self.side() + 112 + self.drop();
        ((self.right_end() + MARGIN) as u32, height as u32)
    }
}

impl Labels {
    fn new(names: &Names, cell: usize) -> Self {
        let size = match cell {
            SMALLEST_CELL.. => 19.0,
            20.. => 15.0,
            _ => 13.0,
        };
        let step = [1, 2, 5, 10, 20].into_iter().find(|step| step * cell >= LABEL_PITCH);
        let step = step.unwrap_or(50);
        // Where not every class is named, numbers say how many are between.
        let text = |class: usize| match names.name(class) {
            Some(name) if step > 1 && !names.are_numbers() => format!("{class} {name}"),
            _ => names.label(class),
        };
        let texts: Vec<String> = (0..names.count())
            .step_by(step)
            .map(|class| shortened(&text(class), size, Weight::Regular, LONGEST_LABEL))
            .collect();
        let wide = |text: &str| width(text, size, Weight::Regular);
        let widest = texts.iter().map(|text| wide(text)).max().unwrap_or(0);
        let upright = widest + 2 > (step * cell) as i32;
        Self { size, step, widest, beyond: (widest - wide("0")).max(0), upright, texts }
    }
}
