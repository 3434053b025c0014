//! Lists of names of classes: a name a line, EMNIST's mapping, the Kuzushiji sets' table.

#![no_main]

use dataset::formats::{class_names, mapping};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for names in [
        class_names::lines(data),
        class_names::class_map(data),
        mapping::names(data, 0),
        mapping::names(data, 1),
    ] {
        let is_name = |name: &String| !name.is_empty() && !name.contains(char::is_control);
        assert!(names.into_iter().flatten().all(|name| is_name(&name)));
    }
});
