//! What classes are called in pictures: their names as far as the embedded fonts can write them.
//!
//! Names come from data sets and may be any text. What has no shape of its own (control characters, marks of direction,
//! accents that stand apart from their letters) is left out, white space becomes single spaces, and a name with a sign
//! that the fonts lack, or with nothing left, gives way to the class's number: `#17`. Used by every picture that names
//! classes.

use super::font::has_glyph;

/// More letters of a name have no room in any picture.
const MOST_LETTERS: usize = 120;

/// A name for each class.
pub(super) struct Names {
    /// `None` where the fonts cannot write it.
    legible: Vec<Option<String>>,
    numbers: bool,
}

impl Names {
    pub fn new(class_names: &[String]) -> Self {
        let legible: Vec<_> = class_names.iter().map(|name| legible(name)).collect();
        let is_number = |(class, name): (usize, &Option<String>)| {
            name.as_ref().is_some_and(|name| *name == class.to_string())
        };
        let numbers = legible.iter().enumerate().all(is_number);
        Self { legible, numbers }
    }

    /// How many classes there are.
    pub fn count(&self) -> usize {
        self.legible.len()
    }

    /// Whether every class is called by its number.
    pub fn are_numbers(&self) -> bool {
        self.numbers
    }

    /// A class's name, or its number behind `#`.
    pub fn label(&self, class: usize) -> String {
        self.name(class).map_or_else(|| format!("#{class}"), str::to_owned)
    }

    /// A class's name, if it can be written.
    pub fn name(&self, class: usize) -> Option<&str> {
        self.legible[class].as_deref()
    }
}

fn legible(name: &str) -> Option<String> {
    let signs = name.chars().filter(|sign| sign.is_whitespace() || !is_shapeless(*sign));
    let signs: String = signs.take(4 * MOST_LETTERS).collect();
    let spaced = signs.split_whitespace().collect::<Vec<_>>().join(" ");
    let kept: String = spaced.chars().take(MOST_LETTERS).collect();
    (!kept.is_empty() && kept.chars().all(has_glyph)).then_some(kept)
}

/// Whether a character only controls or decorates others.
fn is_shapeless(sign: char) -> bool {
    sign.is_control()
        || matches!(sign,
            '\u{ad}'
            | '\u{300}'..='\u{36f}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_as_far_as_there_are_glyphs() {
        let check = |name: &str, expected: &str| {
            let names = Names::new(&["0".to_owned(), name.to_owned()]);
            assert_eq!(names.label(1), expected, "{name:?}");
            assert!(!names.are_numbers());
        };
        check("T-shirt/top", "T-shirt/top");
        check(" Ångström\t\n Ελλάδα ", "Ångström Ελλάδα");
        check("Café", "Café");
        check("Cafe\u{301}", "Cafe");
        check("\u{202e}cat\u{0}\u{1b}", "cat");
        check("<&\">", "<&\">");
        for odd in ["", " \t ", "\u{7f}\u{200f}", "猫", "שלום", "dog 🐕"] {
            check(odd, "#1");
        }
        check(&"long".repeat(50), &"long".repeat(30));
    }

    #[test]
    fn numbers_are_known_as_such() {
        let names: Vec<String> = (0..1000).map(|class| class.to_string()).collect();
        assert!(Names::new(&names).are_numbers());
        assert!(!Names::new(&names[1..]).are_numbers());
    }
}
