//! Records of CIFAR's binary versions, plain or compressed.

#![no_main]

use dataset::formats::Reading;
use dataset::formats::cifar::Variant;
use dataset::formats::cifar_records::read_records;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for (variant, classes) in [(Variant::Ten, 10), (Variant::Hundred, 100)] {
        let reading = Reading { limit: 1 << 24, ..Reading::default() };
        if let Ok(pair) = read_records(data, variant, &reading) {
            assert!(pair.images.count() > 0 && pair.images.count() == pair.labels.len());
            assert!(pair.labels.iter().all(|label| *label < classes));
        }
    }
});
