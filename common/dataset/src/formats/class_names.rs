//! Files that name classes: `class_names.txt` or `classes.txt`, a name a line, beside arrays in a folder; the maps of the
//! Kuzushiji sets.
//!
//! Called for folders of IDX and NumPy files; `cifar` reads its own lists with [`lines`].

use std::path::Path;

use super::ClassNames;
use super::content::Content;
use super::kana;
use super::problem::{FileError, Problem};

/// Names of the file that is looked for.
const FILES: [&str; 2] = ["class_names.txt", "classes.txt"];

/// Longer lists are no lists of names.
pub const LONGEST: u64 = 1 << 20;

/// The names that lie in a folder, if any do.
pub(crate) fn in_folder(folder: &Path) -> Result<ClassNames, FileError> {
    let files = FILES.iter().map(|name| folder.join(name));
    match files.into_iter().find(|path| path.is_file()) {
        Some(file) => read(&file, lines),
        None => Ok(ClassNames::Numbered),
    }
}

/// The names of a Kuzushiji set: a table of index, code point and character.
pub(crate) fn of_class_map(file: &Path) -> Result<ClassNames, FileError> {
    read(file, class_map)
}

fn read(
    file: &Path,
    names: fn(&[u8]) -> Result<Vec<String>, Problem>,
) -> Result<ClassNames, FileError> {
    let content = Content::of_file(file)?.all(LONGEST);
    let names = content.and_then(|text| names(&text)).map_err(|problem| problem.of(file))?;
    Ok(ClassNames::Listed { file: file.to_owned(), names })
}

/// A name a line; empty lines may follow the last.
///
/// # Errors
/// A line that is no name, or no text at all.
pub fn lines(text: &[u8]) -> Result<Vec<String>, Problem> {
    let text = text_of(text)?.trim_end();
    let name = |(index, line): (usize, &str)| {
        let name = line.trim();
        let why = if name.is_empty() {
            "is empty, and so names no class"
        } else if name.contains(char::is_control) {
            "has a control character"
        } else {
            return Ok(name.to_owned());
        };
        Err(Problem::Line { line: index + 1, why: why.to_owned() })
    };
    text.lines().enumerate().map(name).collect()
}

/// Text, without the mark that some editors put before it.
fn text_of(bytes: &[u8]) -> Result<&str, Problem> {
    let text = str::from_utf8(bytes).map_err(|_| Problem::Text)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The romanised names of a Kuzushiji set's table.
///
/// # Errors
/// A line that is something else, or out of order.
pub fn class_map(text: &[u8]) -> Result<Vec<String>, Problem> {
    let text = text_of(text)?.trim_end();
    let rows =
        text.lines().enumerate().filter(|(index, line)| *index > 0 || !line.starts_with("index"));
    let name = |(class, (index, row)): (usize, (usize, &str))| {
        let wrong = |why: String| Problem::Line { line: index + 1, why };
        let fields: Vec<&str> =
            row.split(',').map(|field| field.trim().trim_matches('"')).collect();
        let [number, code, ..] = fields[..] else {
            return Err(wrong("is not `index,codepoint,char`".to_owned()));
        };
        if number.parse() != Ok(class) {
            return Err(wrong(format!("has the index `{number}` where {class} is expected")));
        }
        let digits =
            code.strip_prefix("U+").and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let letter = digits.and_then(char::from_u32);
        letter.map(kana::name).ok_or_else(|| wrong(format!("has the code point `{code}`, not U+…")))
    };
    rows.enumerate().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_a_line() {
        let names = lines("\u{feff}cat\r\n great dane \n\n".as_bytes()).unwrap();
        assert_eq!(names, ["cat", "great dane"]);
        for (text, words) in [
            (&b"a\n\nb"[..], "line 2 is empty"),
            (b"a\x07", "line 1 has a control character"),
            (b"\xff\xfe", "no text"),
        ] {
            let message = lines(text).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn class_maps_are_romanised() {
        let map = "index,codepoint,char\n0,U+3042,あ\n1,U+3061,ち\n2,U+309D,ゝ\n3,U+6F22,漢\n";
        assert_eq!(class_map(map.as_bytes()).unwrap(), ["a", "chi", "iteration mark", "U+6F22"]);
        for (text, words) in [
            ("index,codepoint,char\n1,U+3042,あ\n", "line 2 has the index `1` where 0"),
            ("0,3042,あ\n", "line 1 has the code point `3042`"),
            ("0\n", "line 1 is not"),
        ] {
            let message = class_map(text.as_bytes()).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    }
}
