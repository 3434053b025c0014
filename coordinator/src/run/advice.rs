//! What can be done about a run that has failed. Only what can help is advised.

use std::path::Path;

use common::config::Config;

use crate::service::board::Record;

/// What follows the reason of a failure and the name of the last checkpoint.
pub fn after_failure(record: &Record, config: &Config, root: &Path) -> String {
    let root = root.display();
    match (&record.last_checkpoint, record.diverged) {
        (Some(_), false) => format!(", `coordinator --resume {root}` goes on from it"),
        // The rate of a run cannot change, and the same rate leads to the same end.
        (Some(model), true) => format!(
            "; going on from it would end alike. A run with a lower --lr may not: `coordinator --config \
             {root}/config.toml --init-from {root}/{model} --lr {} --run-dir {root}-2` begins one with its parameters",
            config.lr / 2.0
        ),
        (None, true) => "; begin again with a lower --lr or with more --warmup-steps".to_string(),
        (None, false) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn advice(last_checkpoint: Option<&str>, diverged: bool) -> String {
        let command = Config::augment_args(Command::new("coordinator"));
        let matches = command.get_matches_from(["coordinator", "--lr", "0.01"]);
        let config = Config::from_arg_matches(&matches).unwrap();
        let last_checkpoint = last_checkpoint.map(str::to_string);
        let record = Record { last_checkpoint, diverged, ..Record::default() };
        after_failure(&record, &config, Path::new("runs/x"))
    }

    #[test]
    fn what_would_repeat_the_failure_is_not_advised() {
        let last = Some("checkpoints/last.safetensors");
        assert_eq!(advice(last, false), ", `coordinator --resume runs/x` goes on from it");
        let diverged = advice(last, true);
        let expected = "--init-from runs/x/checkpoints/last.safetensors --lr 0.005 --run-dir";
        assert!(diverged.contains(expected) && !diverged.contains("--resume"), "{diverged}");
        assert!(advice(None, true).contains("a lower --lr"));
        assert_eq!(advice(None, false), "");
    }
}
