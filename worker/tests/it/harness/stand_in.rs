//! A library in NCCL's place that takes the CPU's memory; see `tests/nccl/stand_in.cpp`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles it into `folder`.
pub fn compile(folder: &Path) -> PathBuf {
    let file = folder.join("libnccl.so.2");
    let mut compiler = Command::new("g++");
    compiler.args(["-std=c++17", "-O1", "-shared", "-fPIC", "-pthread", "-o"]).arg(&file);
    compiler.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/nccl/stand_in.cpp"));
    let done = compiler.output().expect("g++ has built the bridge");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    file
}
