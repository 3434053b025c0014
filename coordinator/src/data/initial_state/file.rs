//! What the given file is and which tensors it holds. Its content decides, not its name.
//!
//! [`read`] is called once, by `load`. Whatever is no file of tensors is told by what it is, and what to do then.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use common::foreign;

use super::entry::Entry;
use super::{own, pytorch, safetensors_file};

/// What a file holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// All tensors.
    pub entries: Vec<Entry>,
    /// Objects that were not looked into, as `name (class)`.
    pub passed_over: Vec<String>,
    /// What else the user should know of it.
    pub notes: Vec<String>,
}

/// Why a file is not used.
#[derive(Debug)]
pub enum Refusal {
    /// The system does not let it be read.
    Unreadable(io::Error),
    /// What it is, and what to do; goes on from its name.
    Words(String),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        // An error that the system did not make is about the content.
        if error.raw_os_error().is_some() {
            Self::Unreadable(error)
        } else {
            Self::Words(format!("cannot be used: {error}"))
        }
    }
}

impl From<String> for Refusal {
    fn from(words: String) -> Self {
        Self::Words(words)
    }
}

/// The tensors of a file, and the file that they were taken from: for a checkpoint's resume file the model beside it.
///
/// # Errors
/// It cannot be read, or is not a file of tensors.
pub fn read(path: &Path) -> Result<(PathBuf, Contents), Refusal> {
    let kind = fs::metadata(path)?;
    if kind.is_dir() {
        return Err(folder(path).into());
    }
    if !kind.is_file() {
        return Err("is no plain file; give one on a disk".to_string().into());
    }
    let mut start = Vec::new();
    File::open(path)?.take(foreign::START as u64).read_to_end(&mut start)?;
    let here = |contents| Ok((path.to_path_buf(), contents));
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        here(pytorch::read_archive(File::open(path)?)?)
    } else if pytorch::is_start_of_stream(&start) {
        here(pytorch::read_stream(File::open(path)?)?)
    } else if safetensors_file::is_start(&start) {
        let content = fs::read(path)?;
        match own::kind(&content) {
            Some(own::Kind::Resume) => own::model_beside(path, &content),
            Some(own::Kind::Model(digest)) => here(own::checked(content, digest.as_deref())?),
            Some(own::Kind::Features) => Err(own::FEATURES.to_string().into()),
            None => here(safetensors_file::read(content)?),
        }
    } else {
        Err(other_kind(&start).into())
    }
}

fn other_kind(start: &[u8]) -> String {
    let tar_of_pytorch = [&b"sys_info\0"[..], b"pickle\0", b"storages\0", b"tensors\0"];
    if start.get(257..262) == Some(b"ustar") && tar_of_pytorch.iter().any(|n| start.starts_with(n))
    {
        return "was written by PyTorch before 0.1.10; load it with torch.load and save it again"
            .into();
    }
    if let Some(words) = foreign::recognise(start) {
        return words.to_string();
    }
    if matches!(start, [0x80, 1..=5, ..]) {
        return "is a Python pickle that torch.save did not write; load it with pickle and save the weights with \
                torch.save(net.state_dict(), FILE)"
            .into();
    }
    "is neither a safetensors file nor a PyTorch state dict (save one with torch.save(net.state_dict(), FILE))".into()
}

/// What a folder is, and which file to give.
fn folder(path: &Path) -> String {
    let has = |name: &str| path.join(name).exists();
    if has("data.pkl") {
        return "is a folder, a file of torch.save that was unpacked; pack it again, from the folder above it, with \
                `zip -0 -r FILE.pth FOLDER`"
            .into();
    }
    if has(".metadata") {
        return "is a folder, a distributed checkpoint; make a file of it with `python -m \
                torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER FILE.pth`"
            .into();
    }
    if has("checkpoints/last.safetensors") {
        return "is a folder, that of a run; give its checkpoints/last.safetensors, or best.safetensors there".into();
    }
    let names = fs::read_dir(path).into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let ends = [".safetensors", ".pth", ".pt", ".ckpt", ".bin"];
    let mut names: Vec<_> =
        names.filter(|name| ends.iter().any(|end| name.ends_with(end))).collect();
    names.sort();
    names.truncate(5);
    match names.is_empty() {
        true => "is a folder; give a file".into(),
        false => format!("is a folder; give a file in it, such as {}", names.join(", ")),
    }
}
