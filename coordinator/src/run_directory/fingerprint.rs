//! What a run has come to, in one line that is the same wherever it is computed: a digest of everything that decides its
//! numbers, and of the numbers.
//!
//! The user asks for it by a command, and a run's last words tell it. Never part of it: workers, threads, addresses, paths,
//! what is written when, and how it is shown.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use common::architecture::TensorSpec;
use common::config::Config;
use common::{KERNEL_VERSION, hexadecimal};
use safetensors::SafeTensors;
use sha2::{Digest, Sha256};

use super::artifact_path::{CHECKPOINTS, CheckpointPaths};
use super::model_file;
use super::place::saved_config;
use super::resume::LAST;
use crate::data::DataIdentity;

/// SHA-256, hexadecimal, of the version of the kernels, the settings that decide numbers, the data's digest, the position
/// and the last checkpoint's tensors in the order of the state dict, each with its name, type and shape.
///
/// # Errors
/// The folder holds no run or no checkpoint yet, or one that is damaged.
pub fn of(root: &Path) -> Result<String> {
    let config = saved_config(root)?;
    let data = DataIdentity::read(root)?;
    let model = CheckpointPaths::new(&root.join(CHECKPOINTS), LAST).model;
    ensure!(
        model.is_file(),
        "{} has no checkpoint yet: {} is missing",
        root.display(),
        model.display()
    );
    let content = fs::read(&model).with_context(|| format!("cannot read {}", model.display()))?;
    digest(&config, &data, &content).map_err(|why| anyhow!("{} {why}", model.display()))
}

fn digest(config: &Config, data: &DataIdentity, model: &[u8]) -> Result<String, String> {
    let position = model_file::parse(model)?;
    let tensors =
        SafeTensors::deserialize(model).map_err(|error| format!("is damaged: {error}"))?;
    let mut digest = Sha256::new();
    let mut line = |text: String| digest.update(text + "\n");
    line(format!("kernels {KERNEL_VERSION}"));
    line(config.deciding());
    line(format!("samples {} {} {}", data.train_samples, data.test_samples, data.sha256));
    line(format!("position {} {} {}", position.epoch, position.step_in_epoch, position.step));
    for TensorSpec { name, .. } in config.tensors(data.shape()) {
        let tensor = tensors.tensor(&name).map_err(|_| format!("has no tensor `{name}`"))?;
        digest.update(format!("{name} {:?} {:?}\n", tensor.dtype(), tensor.shape()));
        digest.update(tensor.data());
    }
    Ok(hexadecimal(&digest.finalize()))
}
