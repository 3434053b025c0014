//! How wide words are, and how they are shortened to the room there is. Used wherever names of any length are written.

use super::font::{Line, Weight};

/// Pixels from the first letter's start to the last one's end, rounded up.
pub(super) fn width(words: &str, size: f64, weight: Weight) -> i32 {
    Line::new(words, size as f32, weight).width.ceil() as i32
}

/// The words, or as many letters of them as `most` pixels hold with an ellipsis; the first one always.
pub(super) fn shortened(words: &str, size: f64, weight: Weight, most: i32) -> String {
    let letters = words.chars().count();
    if letters < 2 || width(words, size, weight) <= most {
        return words.to_owned();
    }
    let cut = |letters: usize| {
        let kept: String = words.chars().take(letters).collect();
        format!("{}…", kept.trim_end())
    };
    let counts: Vec<usize> = (1..letters).collect();
    let fitting = counts.partition_point(|&letters| width(&cut(letters), size, weight) <= most);
    cut(fitting.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_to_their_room_and_no_further() {
        let cut = |words, most| shortened(words, 20.0, Weight::Regular, most);
        assert_eq!(cut("cat", 200), "cat");
        assert_eq!((cut("cat", 0), cut("c", 0), cut("", 0)), ("c…".into(), "c".into(), "".into()));
        let long = cut("great white shark", 120);
        assert!(long.starts_with("great") && long.ends_with('…'), "{long}");
        assert!((100..=120).contains(&width(&long, 20.0, Weight::Regular)));
        assert_eq!(cut("a longer name", 25), "a…");
    }
}
