//! The two programs under test, of the profile that the tests are built with.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The worker, which cargo builds for these tests.
pub const WORKER: &str = env!("CARGO_BIN_EXE_worker");

/// The coordinator, which lies beside the worker. Cargo builds no other package's program for a package's tests, so it
/// is built here, once; with the features that all tests together have, so that nothing is left to do where all were
/// built.
pub fn coordinator() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(build_coordinator)
}

fn build_coordinator() -> PathBuf {
    let folder = Path::new(WORKER).parent().expect("a program lies in a folder");
    let target = folder.parent().expect("a profile's folder lies in the target folder");
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "test",
        Some(profile) => profile,
    };
    let mut build = Command::new(env!("CARGO"));
    // What cargo tells a test of the test's own package would have dependencies built once more.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "OUT_DIR", "RUSTC_BOOTSTRAP"];
        if prefixes.iter().any(|prefix| text.starts_with(prefix)) {
            build.env_remove(&name);
        }
    }
    let built = build
        .args(["test", "--workspace", "--no-run", "--profile", profile])
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "the coordinator cannot be built:\n{said}");
    folder.join("coordinator")
}
