//! The model file of a checkpoint.

#![no_main]

use coordinator::run_directory::model_file;
use fuzz::with_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = with_file("last.safetensors", data, model_file::read);
});
