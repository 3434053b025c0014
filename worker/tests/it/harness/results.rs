//! What a run leaves behind: metrics as JSON, model files as numbers, everything as SHA-256.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Launch;

/// A run directory.
#[derive(Clone, Debug)]
pub struct Results {
    root: PathBuf,
}

/// The numbers of a model file by tensor.
pub type Tensors = BTreeMap<String, Vec<f64>>;

impl Results {
    /// The results in `root`.
    pub fn of(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// A file of the run.
    pub fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }

    /// The whole lines of `metrics.jsonl`.
    pub fn metrics(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("metrics.jsonl")).unwrap_or_default();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Those about steps.
    pub fn steps(&self) -> Vec<Value> {
        self.metrics().into_iter().filter(|line| line["kind"] == "step").collect()
    }

    /// The metrics without what depends on the machine's speed.
    pub fn reproducible_metrics(&self) -> Vec<Value> {
        let mut lines = self.metrics();
        for line in &mut lines {
            line.as_object_mut().unwrap().remove("images_per_second").unwrap();
        }
        lines
    }

    /// A file of a checkpoint, by tensor.
    pub fn model(&self, stem: &str) -> Tensors {
        tensors(&fs::read(self.path(&format!("checkpoints/{stem}.safetensors"))).unwrap())
    }

    /// How many steps a checkpoint has behind it, if it is there.
    pub fn steps_done(&self, stem: &str) -> Option<u64> {
        let file = fs::read(self.path(&format!("checkpoints/{stem}.safetensors"))).ok()?;
        let (_, header) = SafeTensors::read_metadata(&file).unwrap();
        let metadata = &header.metadata().as_ref().unwrap()["concentric"];
        serde_json::from_str::<Value>(metadata).unwrap()["step"].as_u64()
    }

    /// SHA-256 of every file in these folders, by path.
    pub fn hashes(&self, folders: &[&str]) -> BTreeMap<String, String> {
        let files = folders.iter().flat_map(|folder| {
            let entries = fs::read_dir(self.path(folder)).unwrap();
            entries.map(move |entry| {
                let entry = entry.unwrap();
                let name = format!("{folder}/{}", entry.file_name().display());
                (name, sha256(&fs::read(entry.path()).unwrap()))
            })
        });
        files.collect()
    }
}

/// What must not depend on who computed a run: SHA-256 of every file, and every figure that does not tell of time. It
/// outlives the run's directory.
#[derive(Debug)]
pub struct Left {
    files: BTreeMap<String, String>,
    metrics: Vec<Value>,
    /// Of every tensor, as often as the run has recorded them.
    digests: String,
}

impl Left {
    /// Of a run in `folder` that nothing disturbs and one worker computes, for whatever is to be compared with it.
    pub fn by(launch: impl FnOnce(&Path) -> Launch) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::of(&launch(folder.path()).complete())
    }

    fn of(results: &Results) -> Self {
        let files = results.hashes(&["checkpoints", "features", "pictures"]);
        assert!(!files.is_empty());
        let digests = fs::read_to_string(results.path("digests.jsonl")).unwrap();
        Self { files, metrics: results.reproducible_metrics(), digests }
    }

    /// Another run has left the same, byte for byte.
    pub fn check(&self, found: &Results, what: &str) {
        let found = Self::of(found);
        // The first step that differs says more than all the files do.
        let mut both = found.metrics.iter().zip(&self.metrics);
        assert_eq!(both.find(|(found, expected)| found != expected), None, "{what}");
        assert_eq!(found.metrics.len(), self.metrics.len(), "{what}");
        let mut both = found.digests.lines().zip(self.digests.lines());
        assert_eq!(both.find(|(found, expected)| found != expected), None, "{what}");
        assert_eq!(found.digests.len(), self.digests.len(), "{what}");
        assert_eq!(found.files, self.files, "{what}");
    }
}

/// Two runs have left the same, byte for byte.
pub fn check_same(found: &Results, expected: &Results, what: &str) {
    Left::of(expected).check(found, what);
}

/// Hexadecimal SHA-256.
pub fn sha256(content: &[u8]) -> String {
    common::hexadecimal(&Sha256::digest(content))
}

/// ‖a − b‖₂ / ‖b‖₂, or ‖a‖₂ where b is 0.
pub fn relative(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let difference: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let norm_of_b = norm(b);
    norm(&difference) / if norm_of_b == 0.0 { 1.0 } else { norm_of_b }
}

/// ‖a‖₂
pub fn norm(a: &[f64]) -> f64 {
    a.iter().map(|value| value * value).sum::<f64>().sqrt()
}

fn tensors(file: &[u8]) -> Tensors {
    let file = SafeTensors::deserialize(file).unwrap();
    file.iter().map(|(name, view)| (name.to_string(), numbers(view.dtype(), view.data()))).collect()
}

fn numbers(dtype: Dtype, bytes: &[u8]) -> Vec<f64> {
    let (fours, eights) = (bytes.as_chunks::<4>().0.iter(), bytes.as_chunks::<8>().0.iter());
    match dtype {
        Dtype::F32 => fours.map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect(),
        Dtype::F64 => eights.map(|bytes| f64::from_le_bytes(*bytes)).collect(),
        Dtype::I64 => eights.map(|bytes| i64::from_le_bytes(*bytes) as f64).collect(),
        Dtype::U8 => bytes.iter().map(|byte| f64::from(*byte)).collect(),
        other => panic!("a checkpoint with {other:?} numbers"),
    }
}
