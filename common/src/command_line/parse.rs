//! From arguments and variables to matches.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, Error};

/// Matches a command line.
///
/// # Errors
/// clap's own; where a variable is wrong that nothing on the command line goes over, it says so of the variable.
pub fn parse(
    command: Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<ArgMatches, Error> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut command = without_empty_variables(command.args_override_self(true));
    let matches = command.try_get_matches_from_mut(&arguments);
    matches.map_err(|error| {
        // An argument of a subcommand has no name to show before.
        command.build();
        of_variable(&command, &arguments, error)
    })
}

/// The variable that an argument has its value from, if it is a variable.
pub fn variable_behind<'c>(
    command: &'c Command,
    matches: &ArgMatches,
    flag: &str,
) -> Option<&'c OsStr> {
    let argument = command.get_arguments().find(|argument| argument.get_long() == Some(flag))?;
    let source = matches.value_source(argument.get_id().as_str());
    argument.get_env().filter(|_| source == Some(ValueSource::EnvVariable))
}

/// All flags whose values come from variables, and those.
pub fn variables_behind(command: &Command, matches: &ArgMatches) -> BTreeMap<String, String> {
    let flags = command.get_arguments().filter_map(|argument| argument.get_long());
    let named = flags.filter_map(|flag| {
        let variable = variable_behind(command, matches, flag)?;
        Some((flag.to_string(), variable.to_string_lossy().into_owned()))
    });
    named.collect()
}

/// Wrappers and container files set variables to nothing where they have nothing to say.
fn without_empty_variables(command: Command) -> Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let command = command.mut_args(|argument| match argument.get_env().is_some_and(is_empty) {
        true => argument.env(clap::builder::Resettable::Reset),
        false => argument,
    });
    command.mut_subcommands(without_empty_variables)
}

/// An error about a value that no flag has given is one about a variable.
fn of_variable(command: &Command, arguments: &[OsString], error: Error) -> Error {
    let kinds = [ErrorKind::InvalidValue, ErrorKind::ValueValidation];
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let all = std::iter::once(command).chain(command.get_subcommands());
    let argument = all
        .flat_map(Command::get_arguments)
        .find(|argument| kinds.contains(&error.kind()) && argument.to_string() == *shown);
    let Some((flag, variable)) = argument.and_then(|it| Some((it.get_long()?, it.get_env()?)))
    else {
        return error;
    };
    let is_flag = |argument: &OsString| {
        let text = argument.to_string_lossy();
        let name = text.strip_prefix("--").map(|text| text.split('=').next().unwrap_or(text));
        name == Some(flag)
    };
    if arguments.iter().any(is_flag) {
        return error;
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let named = format!("the variable {}, which stands for --{flag}", variable.to_string_lossy());
    Error::raw(error.kind(), text.replacen(&format!("'{shown}'"), &named, 1))
}
