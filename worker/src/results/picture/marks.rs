//! What is written beside each class's center: its name where names are short or few, else its number.
//!
//! Ten digits are all written, whatever lies under them. Among other classes a mark that finds no room is left out, and
//! the legend still tells its colour; the more classes there are, the smaller are dots and marks, and the nearer to its
//! dot a mark has to be. Names get the room of twelve letters or so. Where numbers are written the legend numbers its
//! names. Drawn by `centers`, placed by `places`.

use super::fit::{shortened, width};
use super::font::Weight;
use super::names::Names;
use super::style::Unit;

/// Names of any length are written beside the centers of no more classes than this.
const FEW: usize = 12;
/// Room for a name where there are few classes, and where there are many, of the full-size layout as are all lengths.
const LONG: i32 = 150;
const SHORT: i32 = 46;

/// The marks of all classes, and how they are set.
pub(super) struct Marks {
    pub texts: Vec<String>,
    /// Whether these are numbers that the classes are not called by.
    pub are_numbers: bool,
    pub setting: Setting,
}

/// Sizes of dots and marks, and how marks are placed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Setting {
    /// Radius of a dot with its rim.
    pub radius: i32,
    /// Of a mark's letters.
    pub letters: i32,
    /// Half the height of a mark with the white around it, and half a digit's width with it.
    pub half: i32,
    /// From a dot's middle to its mark's: the first where there is room is taken.
    pub distances: &'static [i32],
    /// Whether a mark is written where there is no room for it.
    pub always: bool,
}

impl Marks {
    pub fn new(names: &Names) -> Self {
        let classes = names.count();
        let setting = Setting::of(classes, names.are_numbers());
        let size = setting.size(Unit(1.0));
        let wide = |class| width(&names.label(class), size, Weight::Bold);
        let widest = (0..classes).map(wide).max().unwrap_or(0);
        let are_numbers = !names.are_numbers() && classes > FEW && widest > SHORT;
        let text = |class: usize| match are_numbers {
            true => class.to_string(),
            false => shortened(&names.label(class), size, Weight::Bold, LONG),
        };
        Self { texts: (0..classes).map(text).collect(), are_numbers, setting }
    }
}

impl Setting {
    fn of(classes: usize, numbers: bool) -> Self {
        let digits = Self {
            radius: 7,
            letters: 20,
            half: 11,
            distances: &[20, 32, 46, 62, 80],
            always: true,
        };
        if numbers && classes <= 10 {
            return digits;
        }
        match classes {
            ..=20 => Self { always: false, ..digits },
            21..=60 => {
                Self { radius: 6, letters: 17, half: 9, distances: &[17, 27, 38], always: false }
            }
            61..=200 => {
                Self { radius: 4, letters: 14, half: 8, distances: &[13, 20], always: false }
            }
            _ => Self { radius: 3, letters: 12, half: 7, distances: &[11, 15], always: false },
        }
    }

    /// Of the letters: those of smaller pictures shrink less than the rest.
    pub fn size(&self, unit: Unit) -> f64 {
        f64::from(unit.px(self.letters).max(self.letters * 11 / 20).max(8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(names: &[&str]) -> Marks {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Marks::new(&Names::new(&names))
    }

    #[test]
    fn short_or_few_names_are_written_and_long_ones_numbered() {
        assert_eq!(marks(&["0", "1"]).texts, ["0", "1"]);
        let few = marks(&["Ankle boot", "a name of many more letters than have room"]);
        assert_eq!(few.texts[0], "Ankle boot");
        assert!(few.texts[1].ends_with('…') && !few.are_numbers);
        let letters: Vec<&str> = "A B C D E F G H I J K L M N".split(' ').collect();
        assert_eq!(marks(&letters).texts, letters);
        let mut long = letters;
        long[3] = "golden retriever";
        let marks = marks(&long);
        assert_eq!((marks.texts[3].as_str(), marks.are_numbers), ("3", true));
    }

    #[test]
    fn ten_digits_are_written_whatever_lies_under_them() {
        assert!(Setting::of(10, true).always);
        assert!(!Setting::of(10, false).always && !Setting::of(11, true).always);
    }
}
