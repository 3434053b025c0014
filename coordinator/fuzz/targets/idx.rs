//! IDX files, plain or compressed.

#![no_main]

use common::architecture::IMAGE_PIXELS;
use dataset::idx;
use fuzz::with_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    with_file("data.idx", data, |path| {
        if let Ok(images) = idx::read_images(path) {
            assert!(!images.is_empty() && images.len() % IMAGE_PIXELS == 0);
        }
        if let Ok(labels) = idx::read_labels(path) {
            assert!(!labels.is_empty() && labels.iter().all(|label| *label < 10));
        }
    });
});
