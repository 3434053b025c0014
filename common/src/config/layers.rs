//! Lays flags over environment variables over a file over defaults.
//!
//! clap knows which values were given and which are defaults; only the latter yield to the file.

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::ConfigError;

/// A configuration file's settings, not yet checked against the known ones.
#[derive(Clone, Debug)]
pub struct FileLayer {
    path: String,
    table: Table,
}

impl FileLayer {
    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read, or is no TOML.
    pub fn read(path: &std::path::Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: name.clone(), source })?;
        Self::parse(&name, &text)
    }

    /// Takes the text of a file; `path` names it in messages.
    ///
    /// # Errors
    /// The text is no TOML.
    pub fn parse(path: &str, text: &str) -> Result<Self, ConfigError> {
        let table = text.parse::<Table>().map_err(|error| ConfigError::Syntax {
            path: path.to_string(),
            message: error.to_string(),
        })?;
        Ok(Self { path: path.to_string(), table })
    }

    /// Whether the file gives a value to the setting `key`.
    pub fn sets(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Takes the settings of `S` out of this file, into one of their own.
    pub fn split_off<S: Args>(&mut self) -> Self {
        let table = keys::<S>().into_iter().filter_map(|key| self.table.remove_entry(&key));
        Self { path: self.path.clone(), table: table.collect() }
    }

    /// This file's settings, and those of `lower` that it does not give.
    pub fn over(mut self, lower: Self) -> Self {
        for (key, value) in lower.table {
            self.table.entry(key).or_insert(value);
        }
        self
    }
}

/// Two layers as one, where either may be missing: the settings of `upper`, and those of `lower` that it does not give.
pub fn stacked(upper: Option<FileLayer>, lower: Option<FileLayer>) -> Option<FileLayer> {
    match (upper, lower) {
        (Some(upper), Some(lower)) => Some(upper.over(lower)),
        (upper, lower) => upper.or(lower),
    }
}

/// The settings `S` after all layers: values that clap did not get from flag or variable come from `file`, then
/// from the defaults.
///
/// # Errors
/// A key of the file that no setting has (the nearest known one is named), or a value it cannot take.
pub fn merge<S>(matches: &ArgMatches, file: Option<&FileLayer>) -> Result<S, ConfigError>
where
    S: Args + FromArgMatches + Serialize + DeserializeOwned,
{
    let given = S::from_arg_matches(matches)?;
    let Some(file) = file else { return Ok(given) };
    let mut table = Table::try_from(&given).expect("settings are plain numbers, words and paths");
    let known = keys::<S>();
    for (key, value) in &file.table {
        if !known.contains(key) {
            return Err(unknown(file, key, &known));
        }
        if is_default(matches, key) {
            table.insert(key.clone(), checked::<S>(&table, file, key, value)?);
        }
    }
    table.try_into().map_err(|error: toml::de::Error| ConfigError::Syntax {
        path: file.path.clone(),
        message: error.to_string(),
    })
}

/// Names of the settings that were given by flag or variable.
pub fn given<S: Args>(matches: &ArgMatches) -> Vec<String> {
    keys::<S>().into_iter().filter(|key| !is_default(matches, key)).collect()
}

fn keys<S: Args>() -> Vec<String> {
    let command = S::augment_args(Command::new("settings"));
    command.get_arguments().filter_map(|arg| arg.get_long()).map(String::from).collect()
}

fn is_default(matches: &ArgMatches, key: &str) -> bool {
    matches!(matches.value_source(&key.replace('-', "_")), None | Some(ValueSource::DefaultValue))
}

/// `value`, if the settings can be read with it.
fn checked<S: DeserializeOwned>(
    table: &Table,
    file: &FileLayer,
    key: &str,
    value: &Value,
) -> Result<Value, ConfigError> {
    let mut trial = table.clone();
    trial.insert(key.to_string(), value.clone());
    match trial.try_into::<S>() {
        Ok(_) => Ok(value.clone()),
        Err(error) => Err(ConfigError::BadValue {
            path: file.path.clone(),
            key: key.to_string(),
            message: error.message().to_string(),
        }),
    }
}

fn unknown(file: &FileLayer, key: &str, known: &[String]) -> ConfigError {
    let nearest = crate::nearest(key, known.iter().map(String::as_str));
    let suggestion = nearest.map(|name| format!(", did you mean `{name}`?")).unwrap_or_default();
    ConfigError::UnknownKey { path: file.path.clone(), key: key.to_string(), suggestion }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn resolve(flags: &[&str], file: &str) -> Result<Config, ConfigError> {
        let command = Config::augment_args(Command::new("coordinator"));
        let matches = command.try_get_matches_from([&["coordinator"], flags].concat())?;
        merge(&matches, Some(&FileLayer::parse("run.toml", file)?))
    }

    #[test]
    fn flag_over_file_over_default() {
        let config =
            resolve(&["--epochs", "3"], "epochs = 9\nbatch-size = 20\nloss = 'softmax'").unwrap();
        assert_eq!((config.epochs, config.batch_size, config.lr), (3, 20, 0.001));
        assert_eq!(config.loss.to_string(), "softmax");
    }

    #[test]
    fn a_flag_equal_to_its_default_still_wins() {
        assert_eq!(resolve(&["--epochs", "150"], "epochs = 9").unwrap().epochs, 150);
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let message = resolve(&[], "batchsize = 20").unwrap_err().to_string();
        assert!(message.contains("unknown setting `batchsize`"), "{message}");
        assert!(message.contains("did you mean `batch-size`?"), "{message}");
    }

    #[test]
    fn a_bad_value_names_its_key() {
        let message = resolve(&[], "epochs = 'many'").unwrap_err().to_string();
        assert!(message.contains("run.toml: bad value for `epochs`"), "{message}");
        let message = resolve(&[], "loss = 'hinge'").unwrap_err().to_string();
        assert!(message.contains("`loss`") && message.contains("cross-entropy"), "{message}");
    }

    #[test]
    fn the_saved_file_reads_back_equal() {
        let mut config = resolve(&["--max-steps", "7", "--picture-format", "png,svg"], "").unwrap();
        config.resolve(16);
        assert_eq!((config.shard_count(), config.thread_count()), (8, 2));
        assert_eq!(Config::from_toml(&config.to_toml()).unwrap(), config);
    }
}
