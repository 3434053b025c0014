//! `--init-from`: parameters that a run starts with, from a safetensors file or a PyTorch state dict.
//!
//! - `entry`: a named tensor of a file, whatever its format;
//! - `number`: its numbers in the run's precision, or which of them cannot be used;
//! - `matching`: which of them are the network's, and a list of all that does not match.
//!
//! `prepare` calls it before anything starts; workers receive the result as one safetensors file in the names and
//! order of `common::architecture`, without `center` where the file has none.

use std::fs;
use std::path::Path;

use common::architecture;
use common::config::Config;
use pytorch_reader::PytorchReader;
use safetensors::SafeTensors;
use tonic::codegen::Bytes;

mod entry;
mod matching;
mod number;

use entry::{Entry, EntryError};
pub use matching::Mismatch;

/// Name under which workers ask for the initial state.
pub const ARTIFACT: &str = "initial.safetensors";

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
    /// It is neither safetensors nor a PyTorch file.
    #[error(
        "{path} is neither a safetensors file nor a PyTorch state dict: {message} (save one with \
         torch.save(net.state_dict(), FILE))"
    )]
    Format {
        /// The file.
        path: String,
        /// What the readers said.
        message: String,
    },
    /// Its tensors are not the network's.
    #[error("{path} does not hold this network's state dict:\n{mismatch}")]
    Mismatch {
        /// The file.
        path: String,
        /// Everything that differs.
        mismatch: Mismatch,
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
/// The file cannot be read, is not a state dict of this network (everything that differs is listed), or holds a number
/// that cannot be used.
pub fn load(path: &Path, config: &Config) -> Result<Bytes, InitialStateError> {
    let name = || path.display().to_string();
    let entries = read(path)?;
    let specs = architecture::tensors(config.network, config.feature_dim as usize);
    let chosen = matching::choose(entries, &specs)
        .map_err(|mismatch| InitialStateError::Mismatch { path: name(), mismatch })?;
    entry::write(&chosen, config.precision)
        .map_err(|source| InitialStateError::Content { path: name(), source })
}

fn read(path: &Path) -> Result<Vec<Entry>, InitialStateError> {
    let name = || path.display().to_string();
    let content =
        fs::read(path).map_err(|source| InitialStateError::Unreadable { path: name(), source })?;
    match SafeTensors::deserialize(&content) {
        Ok(file) => {
            Ok(file.iter().map(|(name, view)| Entry::from_safetensors(name, &view)).collect())
        }
        Err(error) if path.extension().is_some_and(|extension| extension == "safetensors") => {
            Err(InitialStateError::Format { path: name(), message: error.to_string() })
        }
        Err(_) => match PytorchReader::new(path) {
            Ok(file) => Ok(file.into_tensors().into_values().map(Entry::from_pytorch).collect()),
            Err(error) => {
                Err(InitialStateError::Format { path: name(), message: error.to_string() })
            }
        },
    }
}
