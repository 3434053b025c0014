//! Parameters that a run starts from: safetensors, and PyTorch's pickles in a zip archive.

#![no_main]

use common::config::Config;
use coordinator::args::{self, Command, Environment};
use coordinator::initial_state;
use fuzz::with_file;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let environment = Environment { world_size: None, mnist_dir: None, cores: 2 };
    match args::parse(["coordinator"].map(Into::into), &environment) {
        Ok(Command::Run(run)) => run.config,
        other => panic!("the defaults are a run: {other:?}"),
    }
});

fuzz_target!(|data: &[u8]| {
    for name in ["initial.safetensors", "initial.pth"] {
        let _ = with_file(name, data, |path| initial_state::load(path, &CONFIG));
    }
});
