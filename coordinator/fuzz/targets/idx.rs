//! IDX files, plain or compressed.

#![no_main]

use dataset::formats::{Reading, read_images, read_labels};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Rows of numbers are images only where a size is given; those of others' own size it does not change.
    let reading = |image_size| Reading { image_size, limit: 1 << 24, ..Reading::default() };
    let [own, given] = [None, Some((4, 5))].map(|size| read_images(data, &reading(size)).ok());
    match (&own, &given) {
        (None, Some(rows)) => assert_eq!([rows.channels, rows.height, rows.width], [1, 4, 5]),
        _ => assert_eq!(own, given),
    }
    if let Some(images) = given {
        let numbers = images.channels * images.height * images.width;
        assert!(images.count() > 0 && images.count() * numbers == images.pixels.len());
        assert!(matches!(images.channels, 1 | 3));
    }
    if let Ok(labels) = read_labels(data, &reading(None)) {
        assert!(!labels.is_empty() && labels.iter().all(|label| *label < 1000));
    }
});
