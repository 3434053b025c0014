//! Data sets as one file: EMNIST's zip archive, NumPy's, CIFAR's tar archives.

#![no_main]

use dataset::{DatasetSource, LoadOptions, load};
use fuzz::with_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    with_file("data", data, |path| {
        let source = DatasetSource::Folder(path.to_path_buf());
        if let Ok(set) = load(&source, &LoadOptions::default()) {
            assert!(set.shape.check().is_ok() && set.class_names.len() == set.shape.classes);
            let labels = set.train.labels().iter().chain(set.test.labels());
            assert!(labels.into_iter().all(|label| usize::from(*label) < set.shape.classes));
            let mut image = Vec::new();
            set.train.read_image(0, &mut image).expect("it is in memory");
            assert_eq!(image.len(), set.shape.numbers());
        }
    });
});
