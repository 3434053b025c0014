//! Which images of a set without a test set are tested with: a digest of a file's path says so, so that a new file moves no
//! other.
//!
//! Called by [`super::layout`].

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::walk::Source;

/// Images to train on and to test with, about `fraction` of them, each in the order they had.
pub(super) fn split(sources: Vec<Source>, fraction: f64) -> (Vec<Source>, Vec<Source>) {
    sources.into_iter().partition(|source| !is_tested(&source.relative, fraction))
}

/// Whether the file of this path, from the data set's folder, is tested with.
fn is_tested(relative: &Path, fraction: f64) -> bool {
    let digest = Sha256::digest(relative.as_os_str().as_bytes());
    let (first, _) = digest.split_first_chunk().expect("a digest has 32 bytes");
    // 53 bits are what a double holds exactly: a number from 0 to below 1.
    let place = (u64::from_be_bytes(*first) >> 11) as f64 / (1_u64 << 53) as f64;
    place < fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_place() {
        // From `hashlib.sha256(b"cat/1.png").hexdigest()[:16]`, divided by 2**64.
        let place = 0.41497065056175686;
        assert!(is_tested(Path::new("cat/1.png"), place + 1e-9));
        assert!(!is_tested(Path::new("cat/1.png"), place - 1e-9));
    }

    #[test]
    fn as_many_as_asked_for() {
        let paths: Vec<String> = (0..2000).map(|index| format!("class/{index}.png")).collect();
        for (fraction, least, most) in [(0.0, 0, 0), (0.1, 160, 240), (0.5, 930, 1070)] {
            let tested = paths.iter().filter(|path| is_tested(path.as_ref(), fraction)).count();
            assert!((least..=most).contains(&tested), "{fraction}: {tested}");
        }
    }
}
