//! Parameters that a run starts from: safetensors, and PyTorch's pickles in a zip archive.

#![no_main]

use std::sync::LazyLock;

use common::config::Config;
use common::data_shape::DataShape;
use coordinator::data::initial_state;
use fuzz::{config, with_file};
use libfuzzer_sys::fuzz_target;

static CONFIG: LazyLock<Config> = LazyLock::new(|| config(&[]));

fuzz_target!(|data: &[u8]| {
    for name in ["initial.safetensors", "initial.pth"] {
        let _ = with_file(name, data, |path| initial_state::load(path, &CONFIG, DataShape::MNIST));
    }
});
