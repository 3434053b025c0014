//! What a misspelt name was meant to be.

/// The candidate that is nearest to a name, if one is near. Underscores are taken for hyphens, capitals for small letters.
pub fn nearest<'c>(given: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let plain = |name: &str| name.replace('_', "-").to_ascii_lowercase();
    let given = plain(given);
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&plain(candidate), &given), candidate))
        .filter(|(similarity, _)| *similarity > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_another_word_is_not() {
        let names = ["batch-size", "epochs", "test-batch-size"];
        assert_eq!(nearest("BATCHSIZE", names), Some("batch-size"));
        assert_eq!(nearest("epoch", names), Some("epochs"));
        assert_eq!(nearest("xyz", names), None);
    }
}
