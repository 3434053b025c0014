//! Every setting of a run: one struct is command line, environment, file and saved record at once.
//!
//! - [`Config`]: the settings, their flags, variables and defaults;
//! - [`choices`]: the words some of them take;
//! - [`images`]: how the images of a folder become samples;
//! - [`layers`]: flag over variable over file over recipe over default; [`recipes`]: settings that go together;
//! - [`loss`]: what is minimised, as a sum of terms;
//! - [`normalisation`]: how pixels become the network's input;
//! - [`validate`]: what is refused before anything starts;
//! - [`resuming`]: what `--resume` may change;
//! - [`schedule`]: the learning rate as a function of the step.
//!
//! The coordinator resolves it; workers receive the result. Nothing here reads the environment by itself.

pub mod choices;
pub mod images;
pub mod layers;
pub mod loss;
pub mod normalisation;
pub mod recipes;
pub mod resuming;
pub mod schedule;
mod settings;
pub mod validate;

pub use choices::{
    CenterRule, LrSchedule, Network, Optimizer, PictureFormat, Precision, Recipe, Reduction,
};
pub use images::{ImageMode, ImageSize, Resize};
pub use loss::{Loss, LossTerm, ScoreLoss};
pub use normalisation::PerChannel;
pub use settings::Config;

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The command line or an environment variable; clap's message, which shows the usage.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{path} is not valid TOML: {message}")]
    Syntax {
        /// The file.
        path: String,
        /// Where and why.
        message: String,
    },
    /// A key that no setting has.
    #[error(
        "{path}: unknown setting `{key}`{suggestion}; every setting is named like its flag, see --help"
    )]
    UnknownKey {
        /// The file.
        path: String,
        /// The key as written.
        key: String,
        /// `; did you mean `…`?`, or nothing.
        suggestion: String,
    },
    /// A value of the wrong type or out of range.
    #[error("{path}: bad value for `{key}`: {message}")]
    BadValue {
        /// The file.
        path: String,
        /// The setting.
        key: String,
        /// What is wrong with it.
        message: String,
    },
    /// A value that can be read but not trained with.
    #[error("--{key}: {message}")]
    Invalid {
        /// The setting.
        key: &'static str,
        /// What is wrong, and what to give instead.
        message: String,
    },
    /// `--resume` with another value of a setting that shapes the result.
    #[error(
        "--{key} is {given} here but {saved} in the run being resumed; it shapes the result and cannot change: \
         leave it out, or start a new run (which --init-from a checkpoint of this one begins with its parameters)"
    )]
    ChangedOnResume {
        /// The setting.
        key: String,
        /// The value given now.
        given: String,
        /// The value the run began with.
        saved: String,
    },
}
