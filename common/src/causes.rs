//! An error with what it comes from, in one line, for the user. Whoever shows an error's causes calls [`in_words`].

use std::error::Error;

/// What an error says, and what each of its causes adds: one whose words are said already is left out, as many errors tell
/// of their cause by themselves.
pub fn in_words(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !words.contains(&said) {
            words = format!("{words}: {said}");
        }
        next = cause.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Says its cause, and names it.
    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the file: {source}; choose another")]
    struct Telling {
        source: io::Error,
    }

    /// Names its cause alone.
    #[derive(Debug, thiserror::Error)]
    #[error("preparing the run")]
    struct Naming(#[source] Telling);

    #[test]
    fn each_cause_is_said_once() {
        let told = Telling { source: io::Error::other("no such file") };
        let expected = "cannot read the file: no such file; choose another";
        assert_eq!(in_words(&told), expected);
        assert_eq!(in_words(&Naming(told)), format!("preparing the run: {expected}"));
    }
}
