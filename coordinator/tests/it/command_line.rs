//! Mistakes on the command line, as the program itself answers them.

use std::net::TcpListener;
use std::process::{Command, Output};

use crate::harness::SMALL;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_coordinator");

fn check(arguments: &[&str], expected: &[&str]) {
    let Output { status, stderr, .. } = Command::new(PROGRAM).args(arguments).output().unwrap();
    let message = String::from_utf8_lossy(&stderr);
    assert!(!status.success(), "{arguments:?} succeeded");
    for text in expected {
        assert!(message.contains(text), "{arguments:?}: {text} is missing in\n{message}");
    }
}

#[test]
fn zeros_are_refused() {
    check(&["--workers", "0"], &["--workers: must be at least 1"]);
    check(&["--epochs", "0"], &["--epochs: must be at least 1"]);
    check(&["--batch-size", "0"], &["--batch-size: must be at least 1"]);
    check(&["--no-such-flag"], &["--no-such-flag"]);
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.toml");
    std::fs::write(&file, "batch-sise = 20\n").unwrap();
    check(&["--config", file.to_str().unwrap()], &["batch-sise", "did you mean `batch-size`?"]);
}

#[test]
fn a_taken_port_says_how_to_choose_another() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    check(&["--listen", &address], &[&address, "the port is taken", "--listen HOST:PORT"]);
    check(&["--listen", "nonsense"], &["cannot listen on nonsense"]);
}

#[test]
fn an_unwritable_run_directory_is_named() {
    let fixed = ["--listen", "127.0.0.1:0", "--run-dir", "/dev/null/run"];
    check(&[&fixed[..], &SMALL].concat(), &["/dev/null/run", "--run-dir"]);
}

#[test]
fn libtorch_is_not_linked() {
    let output = Command::new("ldd").arg(PROGRAM).output().unwrap();
    let libraries = String::from_utf8_lossy(&output.stdout);
    assert!(libraries.contains("libc.so") && !libraries.contains("torch"), "{libraries}");
}
