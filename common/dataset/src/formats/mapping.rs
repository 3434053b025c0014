//! EMNIST's mapping files: which characters a class stands for.
//!
//! Called by `emnist`. A line is a label and one or two codes of ASCII: `10 65` is A, `1 65 97` is A or a.

use super::problem::Problem;

/// The names of the classes, in order; `first` is the label of the first.
///
/// # Errors
/// A line is something else, or out of order.
pub fn names(text: &[u8], first: usize) -> Result<Vec<String>, Problem> {
    let text = str::from_utf8(text).map_err(|_| Problem::Text)?.trim_end();
    let name = |(index, line): (usize, &str)| {
        let wrong = |why: String| Problem::Line { line: index + 1, why };
        let mut fields = line.split_ascii_whitespace();
        let label = fields.next().unwrap_or_default();
        if label.parse() != Ok(first + index) {
            return Err(wrong(format!(
                "has the label `{label}` where {} is expected",
                first + index
            )));
        }
        let characters: Option<Vec<char>> = fields.map(character).collect();
        match characters.filter(|characters| !characters.is_empty()) {
            Some(characters) => Ok(spelt(&characters)),
            None => Err(wrong(
                "does not give its class the codes of visible ASCII characters".to_owned(),
            )),
        }
    };
    text.lines().enumerate().map(name).collect()
}

fn character(code: &str) -> Option<char> {
    let code: u8 = code.parse().ok()?;
    Some(char::from(code)).filter(char::is_ascii_graphic)
}

/// `A`, or `A/a` where a class stands for several.
pub(crate) fn spelt(characters: &[char]) -> String {
    characters.iter().map(char::to_string).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_named_by_their_characters() {
        assert_eq!(names(b"0 48\n1 49\r\n2 65\n\n", 0).unwrap(), ["0", "1", "A"]);
        assert_eq!(names(b"1 65 97\n2 66 98\n", 1).unwrap(), ["A/a", "B/b"]);
        for (text, words) in [
            (&b"0 48\n2 49\n"[..], "line 2 has the label `2` where 1"),
            (b"0\n", "line 1 does not give"),
            (b"0 7\n", "line 1 does not give"),
            (b"0 300\n", "line 1 does not give"),
            (b"\xff", "no text"),
        ] {
            let message = names(text, 0).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    }
}
