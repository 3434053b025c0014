//! Whether a JPEG file is whole. Its decoder makes a picture of half a file, too, grey where nothing came.
//!
//! Called by [`super::decode`]. Decodes nothing.

/// Start and end of image (ITU-T T.81, table B.1).
const START: u8 = 0xD8;
const END: u8 = 0xD9;

/// Whether the file's markers go on to the end of the image.
pub(super) fn has_end(file: &[u8]) -> bool {
    let mut at = 0;
    while let Some(marker) = next_marker(file, &mut at) {
        match marker {
            END => return true,
            // These have no length: numbers and padding between what is encoded, and the beginning.
            0x00 | 0x01 | 0xD0..=0xD7 | START => {}
            // After a scan's head come its bytes, in which every 0xFF is followed by one of those without length.
            _ => {
                let Some(length) = file.get(at..at + 2) else { return false };
                at += usize::from(u16::from_be_bytes([length[0], length[1]]));
            }
        }
    }
    false
}

/// The byte after the next run of 0xFF, and moves behind it.
fn next_marker(file: &[u8], at: &mut usize) -> Option<u8> {
    let rest = file.get(*at..)?;
    let first = rest.iter().position(|byte| *byte == 0xFF)?;
    let code = first + rest[first..].iter().position(|byte| *byte != 0xFF)?;
    *at += code + 1;
    Some(rest[code])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_a_marker_not_two_bytes() {
        let file = |segment: &[u8], scan: &[u8], end: &[u8]| {
            [&[0xFF, START, 0xFF, 0xE1, 0, 4], segment, &[0xFF, 0xDA, 0, 3, 7], scan, end].concat()
        };
        let segment = [0xFF, END];
        let scan = [5, 0xFF, 0, END, 0xFF, 0xD3, 9];
        assert!(has_end(&file(&segment, &scan, &[0xFF, END])));
        assert!(has_end(&file(&segment, &scan, &[0xFF, 0xFF, END, 1, 2])));
        let cut = file(&segment, &scan, &[]);
        (0..=cut.len()).for_each(|length| assert!(!has_end(&cut[..length]), "{length}"));
    }
}
