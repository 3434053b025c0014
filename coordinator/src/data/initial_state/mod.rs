//! `--init-from`: parameters that a run starts with, from a safetensors file or a PyTorch state dict.
//!
//! - `file`: what the file is, by its content, and its tensors; `safetensors_file`, `pytorch` and `own` read the kinds;
//! - `entry`: a named tensor of a file, whatever its format;
//! - `matching`: which of them are the network's; `judged`: what stands under one prefix; `centers`: where the centers
//!   are; `mismatch`: all that does not match;
//! - `number`: their numbers in the run's precision, or which of them cannot be used.
//!
//! `prepare` calls it before anything starts; workers receive the result as one safetensors file in the names and
//! order of `common::architecture`, without `center` where the file has none.

use std::path::{Path, PathBuf};

use common::architecture::TensorKind;
use common::config::Config;
use common::data_shape::DataShape;
use tonic::codegen::Bytes;

mod centers;
mod entry;
mod file;
mod judged;
mod matching;
mod mismatch;
mod number;
mod own;
mod pytorch;
mod safetensors_file;

use entry::EntryError;
use file::Refusal;
use matching::Choice;

/// Name under which workers ask for the initial state.
pub const ARTIFACT: &str = "initial.safetensors";

/// Parameters that a run starts with.
#[derive(Clone, Debug)]
pub struct InitialState {
    /// What workers receive.
    pub content: Bytes,
    /// Where it came from.
    pub taken: Taken,
}

/// What was taken of a file, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The file, which is not the one that was given where that was a resume file.
    pub file: PathBuf,
    /// What stands before the network's names in it, with its dot.
    pub prefix: String,
    /// How many tensors, without the centers.
    pub tensors: usize,
    /// The name of the centers in the file, where it has any.
    pub centers: Option<String>,
    /// What the user should know of it.
    pub notes: Vec<String>,
}

/// Why a file cannot start a run.
#[derive(Debug, thiserror::Error)]
pub enum InitialStateError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not a file of tensors.
    #[error("{path} {message}")]
    Format {
        /// The file.
        path: String,
        /// What it is, and what to do.
        message: String,
    },
    /// Its tensors are not the network's, or it is not clear which are.
    #[error("{path} {message}")]
    Choice {
        /// The file.
        path: String,
        /// Everything that differs, or what may be chosen; what was not looked into.
        message: String,
    },
    /// Its tensors are the network's, but what they hold cannot be used.
    #[error("{path}")]
    Content {
        /// The file.
        path: String,
        /// Which tensor, which number, and why.
        source: EntryError,
    },
}

/// Reads `path` and returns the initial state in the precision of the run.
///
/// # Errors
/// The file cannot be read, is not a state dict of this network (everything that differs is listed), holds several
/// (their prefixes are listed), or a number that cannot be used.
pub fn load(
    path: &Path,
    config: &Config,
    data: DataShape,
) -> Result<InitialState, InitialStateError> {
    let name = || path.display().to_string();
    let (file, contents) = file::read(path).map_err(|refusal| match refusal {
        Refusal::Unreadable(source) => InitialStateError::Unreadable { path: name(), source },
        Refusal::Words(message) => InitialStateError::Format { path: name(), message },
    })?;
    let specs = config.tensors(data);
    let passed_over = passed_over(&contents.passed_over);
    let choice = matching::choose(&contents.entries, &specs, config.init_prefix.as_deref());
    let choice = choice.map_err(|error| {
        let rest = passed_over.as_ref().map(|words| format!("\n  {words}")).unwrap_or_default();
        let message = format!("{}{rest}", error.to_string().trim_end());
        InitialStateError::Choice { path: name(), message }
    })?;
    let content = entry::write(&choice.tensors, config.precision)
        .map_err(|source| InitialStateError::Content { path: name(), source })?;
    let notes = contents.notes.into_iter().chain(passed_over);
    Ok(InitialState { content, taken: Taken::of(choice, file, notes) })
}

fn passed_over(objects: &[String]) -> Option<String> {
    (!objects.is_empty())
        .then(|| format!("objects that were not looked into: {}", objects.join(", ")))
}

impl Taken {
    fn of(choice: Choice<'_>, file: PathBuf, notes: impl Iterator<Item = String>) -> Self {
        let (centers, others): (Vec<_>, Vec<_>) =
            choice.tensors.into_iter().partition(|(spec, _)| spec.kind == TensorKind::Center);
        let centers = centers.first().and_then(|(_, entry)| Some(entry.as_ref()?.name.clone()));
        let tensors = others.iter().filter(|(_, entry)| entry.is_some()).count();
        Self {
            file,
            prefix: choice.prefix,
            tensors,
            centers,
            notes: notes.chain(choice.notes).collect(),
        }
    }
}
