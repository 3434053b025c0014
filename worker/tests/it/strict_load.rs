//! `last.safetensors` is a PyTorch user's state dict. Needs a Python with torch: `CONCENTRIC_PYTHON`, or python3.

use std::path::Path;
use std::process::Command;

use crate::harness::{Launch, data};

/// A Python that has torch; skipped where there is none, but not where one was promised.
fn python() -> Option<String> {
    let promised = std::env::var("CONCENTRIC_PYTHON").ok();
    let python = promised.clone().unwrap_or_else(|| "python3".to_string());
    let found = Command::new(&python).args(["-c", "import torch"]).output();
    if found.is_ok_and(|found| found.status.success()) {
        return Some(python);
    }
    assert!(promised.is_none(), "CONCENTRIC_PYTHON={python} cannot import torch");
    eprintln!("no python3 with torch here, and CONCENTRIC_PYTHON is not set: SKIPPED");
    None
}

#[test]
fn pytorch_loads_the_last_checkpoint() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/strict_load.py");
    for (precision, feature_dim, network) in
        [("f32", "2", "cnn"), ("f64", "3", "cnn"), ("f32", "2", "mlp")]
    {
        let results = Launch::new(&folder.path().join(format!("{precision}-{network}")))
            .workers(2)
            .with(&["--dataset", data::mnist(), "--test-samples", "0", "--max-steps", "2"])
            .with(&["--batch-size", "8", "--precision", precision])
            .with(&["--feature-dim", feature_dim, "--network", network])
            .complete();
        let file = results.path("checkpoints/last.safetensors");
        let said = Command::new(&python).arg(&script).arg(file).arg(network).output().unwrap();
        let (printed, errors) =
            (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        assert!(said.status.success() && printed.trim() == "OK", "{precision}: {printed}{errors}");
    }
}
