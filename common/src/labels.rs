//! Labels as bytes, in files and on the wire: one byte each where there are no more classes than it can tell apart, else two,
//! the lower one first.

/// Bytes of a label where there are so many classes.
pub fn width(classes: usize) -> usize {
    if classes <= 1 << u8::BITS { 1 } else { 2 }
}

/// Their bytes, where each is below `classes`.
pub fn to_bytes(labels: &[u16], classes: usize) -> Vec<u8> {
    match width(classes) {
        1 => labels.iter().map(|label| *label as u8).collect(),
        _ => labels.iter().flat_map(|label| label.to_le_bytes()).collect(),
    }
}

/// What [`to_bytes`] wrote; half a label at the end is left out.
pub fn from_bytes(bytes: &[u8], classes: usize) -> Vec<u16> {
    match width(classes) {
        1 => bytes.iter().map(|label| u16::from(*label)).collect(),
        _ => bytes.as_chunks().0.iter().map(|label| u16::from_le_bytes(*label)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_back() {
        for (classes, bytes) in [(2, 1), (256, 1), (257, 2), (1000, 2)] {
            let labels = [0, 1, (classes - 1) as u16];
            let written = to_bytes(&labels, classes);
            assert_eq!(written.len(), 3 * bytes);
            assert_eq!(from_bytes(&written, classes), labels);
        }
        assert_eq!(to_bytes(&[258], 1000), [2, 1]);
    }
}
