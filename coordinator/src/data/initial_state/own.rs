//! Files of the project's own, which are known by their metadata: a model is checked, a resume file holds no weights.

use std::fs;
use std::path::{Path, PathBuf};

use common::hexadecimal;
use safetensors::SafeTensors;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::file::{Contents, Refusal};
use super::safetensors_file;

/// Key of the metadata, which are one JSON text.
const METADATA_KEY: &str = "concentric";

/// What is said of features.
pub const FEATURES: &str =
    "holds the features of an epoch, not the weights; give the run's checkpoints/last.safetensors";

/// What a file of a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `X.safetensors` of a checkpoint, and the SHA-256 of its tensors' bytes where it says one.
    Model(Option<String>),
    /// `X.resume.safetensors`: momenta and position.
    Resume,
    /// Features of an epoch.
    Features,
}

/// What the file says it is; nothing for another's, or one that is damaged.
pub fn kind(content: &[u8]) -> Option<Kind> {
    let metadata = metadata(content)?;
    if metadata.get("optimizer_steps").is_some() {
        Some(Kind::Resume)
    } else if metadata.get("resume_sha256").is_some() {
        let digest = metadata.get("tensors_sha256").and_then(Value::as_str);
        Some(Kind::Model(digest.map(str::to_string)))
    } else {
        metadata.get("metrics").map(|_| Kind::Features)
    }
}

fn metadata(content: &[u8]) -> Option<Value> {
    let (_, header) = SafeTensors::read_metadata(content).ok()?;
    serde_json::from_str(header.metadata().as_ref()?.get(METADATA_KEY)?).ok()
}

/// The tensors of a model whose bytes have this digest.
///
/// # Errors
/// The bytes have changed since they were written.
pub fn checked(content: Vec<u8>, digest: Option<&str>) -> Result<Contents, Refusal> {
    let (header, _) = SafeTensors::read_metadata(&content).map_err(|error| error.to_string())?;
    let tensors = &content[size_of::<u64>() + header..];
    match digest {
        Some(digest) if digest != hexadecimal(&Sha256::digest(tensors)) => Err(Refusal::from(
            "is a checkpoint that is damaged: its content does not match its SHA-256; give another checkpoint"
                .to_string(),
        )),
        _ => safetensors_file::read(content),
    }
}

/// The model that the resume file at `path` belongs to, which stands beside it.
///
/// # Errors
/// There is none, or it is the model of another state.
pub fn model_beside(path: &Path, resume: &[u8]) -> Result<(PathBuf, Contents), Refusal> {
    let refusal = |rest: String| {
        Refusal::from(format!("holds the momenta of a checkpoint, not its weights; {rest}"))
    };
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.strip_suffix(".resume.safetensors");
    let stem = stem.map(|stem| stem.strip_suffix(".previous").unwrap_or(stem));
    let name = format!("{}.safetensors", stem.unwrap_or("X"));
    let model = path.with_file_name(&name);
    let Some(content) = stem.and_then(|_| fs::read(&model).ok()) else {
        return Err(refusal(format!("give the model that stood beside it as {name}")));
    };
    let named = metadata(&content);
    let named = named.as_ref().and_then(|metadata| metadata.get("resume_sha256")?.as_str());
    if named != Some(&hexadecimal(&Sha256::digest(resume))) {
        return Err(refusal(format!(
            "{name} beside it is of another state, give that if it is meant"
        )));
    }
    let Some(Kind::Model(digest)) = kind(&content) else {
        return Err(refusal(format!("{name} beside it is damaged")));
    };
    let mut contents = checked(content, digest.as_deref())
        .map_err(|_| refusal(format!("{name} beside it is damaged")))?;
    contents.notes.push(format!(
        "{} holds momenta: the weights are those of {name} beside it",
        path.display()
    ));
    Ok((model, contents))
}
