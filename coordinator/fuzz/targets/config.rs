//! Configuration: a user's file, and a resolved one.

#![no_main]

use std::ffi::OsString;

use common::config::Config;
use common::launcher::Launcher;
use coordinator::commands::args::{self, Environment};
use fuzz::with_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(config) = Config::from_toml(text)
    {
        let again = Config::from_toml(&config.to_toml()).expect("what was written can be read");
        assert_eq!(again.to_toml(), config.to_toml());
        let _ = config.validate();
    }
    with_file("run.toml", data, |path| {
        let environment = Environment { launcher: Launcher::default(), mnist_dir: None, cores: 2 };
        let arguments = [OsString::from("coordinator"), "--config".into(), path.into()];
        let _ = args::parse(arguments, &environment);
    });
});
