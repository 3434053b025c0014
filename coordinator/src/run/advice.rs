//! What can be done about a run that has failed. Only what can help is advised.

use std::path::Path;

use common::config::Config;

use crate::run_directory::{CHECKPOINTS, resume};
use crate::service::board::Record;

/// What follows the reason of a failure and the name of the last checkpoint.
pub fn after_failure(record: &Record, config: &Config, root: &Path) -> String {
    if record.last_checkpoint.is_none() {
        return String::new();
    }
    if !record.diverged {
        return format!(", `coordinator --resume {}` goes on from it", root.display());
    }
    let alike = ", from which any run would end alike";
    // The rate of a run cannot change, and what the newest state leads to is known: the best one was still sound.
    let best = root.join(CHECKPOINTS).join(format!("{}.safetensors", resume::BEST));
    if !best.is_file() {
        return format!("{alike}: begin again");
    }
    let (root, best) = (root.display(), best.display());
    format!(
        "{alike}. `coordinator --config {root}/config.toml --init-from {best} --lr {} --run-dir {root}-2` begins one with \
         the parameters of the best epoch and half the rate",
        config.lr / 2.0
    )
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn advice(last_checkpoint: Option<&str>, diverged: bool, root: &Path) -> String {
        let command = Config::augment_args(Command::new("coordinator"));
        let matches = command.get_matches_from(["coordinator", "--lr", "0.01"]);
        let config = Config::from_arg_matches(&matches).unwrap();
        let last_checkpoint = last_checkpoint.map(str::to_string);
        let record = Record { last_checkpoint, diverged, ..Record::default() };
        after_failure(&record, &config, root)
    }

    #[test]
    fn what_would_repeat_the_failure_is_not_advised() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let last = Some("checkpoints/last.safetensors");
        assert!(advice(last, false, root).contains("--resume"));
        for diverged in [false, true] {
            assert_eq!(advice(None, diverged, root), "");
        }
        assert!(advice(last, true, root).ends_with("would end alike: begin again"));
        std::fs::create_dir(root.join(CHECKPOINTS)).unwrap();
        std::fs::write(root.join(CHECKPOINTS).join("best.safetensors"), b"").unwrap();
        let diverged = advice(last, true, root);
        assert!(diverged.contains("best.safetensors --lr 0.005 --run-dir"), "{diverged}");
        assert!(!diverged.contains("--resume"), "{diverged}");
    }
}
