//! NumPy arrays, plain or compressed.

#![no_main]

use dataset::formats::{Reading, read_images, read_labels};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Rows of numbers are images only where their size is given, others only where it is not.
    for image_size in [None, Some((4, 5))] {
        let reading = Reading { image_size, limit: 1 << 24, ..Reading::default() };
        if let Ok(images) = read_images(data, &reading) {
            let numbers = images.channels * images.height * images.width;
            assert!(images.count() > 0 && images.count() * numbers == images.pixels.len());
            assert!(image_size.is_none_or(|size| size == (images.height, images.width)));
            assert!(matches!(images.channels, 1 | 3));
        }
        if let Ok(labels) = read_labels(data, &reading) {
            assert!(!labels.is_empty() && labels.iter().all(|label| *label < 1000));
        }
    }
});
