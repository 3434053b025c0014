//! What a checkpoint's files say about themselves: the model file its position and the resume file it belongs to, this what
//! it was computed with.

use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use common::computing::Proof;
use common::hexadecimal;

/// Key of the safetensors metadata that holds [`CheckpointMetadata`] as JSON.
pub const METADATA_KEY: &str = "concentric";

/// The part of a model file's metadata that the coordinator reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct CheckpointMetadata {
    /// SHA-256 of the resume file, hexadecimal.
    pub resume_sha256: String,
    /// The epoch that a resumed run goes on in.
    pub epoch: u64,
    /// Steps of that epoch already done.
    pub step_in_epoch: u64,
    /// Steps of the run already done.
    pub step: u64,
    /// SHA-256 of the tensors' bytes, where the writer gave it.
    #[serde(default)]
    pub tensors_sha256: Option<String>,
}

/// Reads a model file and checks that it is whole.
///
/// # Errors
/// Why it cannot be used, in words.
pub fn read(path: &Path) -> Result<CheckpointMetadata, String> {
    parse(&fs::read(path).map_err(|error| error.to_string())?)
}

/// What the bytes of a model file say, if they are whole.
///
/// # Errors
/// As [`read`].
pub fn parse(content: &[u8]) -> Result<CheckpointMetadata, String> {
    SafeTensors::deserialize(content).map_err(|error| format!("is damaged: {error}"))?;
    let (header_length, header) =
        SafeTensors::read_metadata(content).map_err(|error| format!("is damaged: {error}"))?;
    let entries = header.metadata().as_ref();
    let text = entries.and_then(|entries| entries.get(METADATA_KEY));
    let text =
        text.ok_or_else(|| format!("has no `{METADATA_KEY}` metadata: not a checkpoint of a run"))?;
    let metadata: CheckpointMetadata =
        serde_json::from_str(text).map_err(|error| format!("has unreadable metadata: {error}"))?;
    let tensors = &content[LENGTH_FIELD + header_length..];
    match &metadata.tensors_sha256 {
        Some(expected) if *expected != hexadecimal(&Sha256::digest(tensors)) => {
            Err("is damaged: its content does not match its SHA-256".to_string())
        }
        _ => Ok(metadata),
    }
}

/// What the worker that wrote a resume file has proved to compute; none where the file does not say it.
pub fn proof_of(resume: &Path) -> Option<Proof> {
    #[derive(Deserialize)]
    struct Metadata {
        proof: Option<Proof>,
    }
    let content = fs::read(resume).ok()?;
    let (_, header) = SafeTensors::read_metadata(&content).ok()?;
    let text = header.metadata().as_ref()?.get(METADATA_KEY)?;
    serde_json::from_str::<Metadata>(text).ok()?.proof
}

/// Bytes before a safetensors header: its length.
const LENGTH_FIELD: usize = 8;
