//! What `--resume` may change: not what has shaped the result so far, and nothing that contradicts how far the run has got.
//!
//! The coordinator asks for the first when it reads the command line, for the second when it knows the position.

use toml::Table;

use super::schedule::{steps_spanned, total_steps};
use super::{Config, ConfigError, LrSchedule};
use crate::plan;

/// Settings that a resumed run may change, because they do not shape the result so far. Those that are about how far the
/// run goes must agree with how far it has got: [`Config::validate_position`].
const FREE_ON_RESUME: [&str; 29] = [
    "workers",
    "spawn",
    "listen",
    "allow-mixed-hardware",
    "collective-timeout",
    "min-workers",
    "max-workers",
    "max-generations",
    "rejoin-timeout",
    "heartbeat-interval",
    "heartbeat-timeout",
    "data-dir",
    "dataset",
    // Other samples are refused by their digest.
    "image-size",
    "image-mode",
    "resize",
    "test-fraction",
    "skip-broken",
    "image-cache",
    "epochs",
    "max-steps",
    "lr-schedule-epochs",
    "run-dir",
    "checkpoint-every",
    "keep",
    "log-every",
    "cross-check",
    "picture-format",
    "picture-every",
];

/// Those of the others that do not decide a number, and those of the free ones that do.
const UNDECIDING: [&str; 3] = ["threads", "init-from", "init-prefix"];
const DECIDING: [&str; 3] = ["epochs", "max-steps", "lr-schedule-epochs"];

impl Config {
    /// The settings that decide a run's numbers, beside its data and what it starts from, a line each in the order of names.
    pub fn deciding(&self) -> String {
        let settings = Table::try_from(self).expect("settings can be written as TOML");
        let mut lines: Vec<String> = (settings.iter())
            .filter(|(key, _)| {
                let is = |list: &[&str]| list.contains(&key.as_str());
                is(&DECIDING) || !(is(&FREE_ON_RESUME) || is(&UNDECIDING))
            })
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        lines.sort_unstable();
        lines.join("\n")
    }

    /// Refuses a resumed run whose result-shaping settings differ from the saved ones.
    ///
    /// # Errors
    /// The first setting that differs, with both values.
    pub fn validate_resume(&self, saved: &Config) -> Result<(), ConfigError> {
        let table = |config| Table::try_from(config).expect("settings can be written as TOML");
        let (given, saved) = (table(self), table(saved));
        let keys = given.keys().chain(saved.keys().filter(|key| !given.contains_key(*key)));
        let is_free = |key: &str| {
            FREE_ON_RESUME.contains(&key) || (key == "threads" && self.precision.has_own_kernels())
        };
        for key in keys.filter(|key| !is_free(key)) {
            if given.get(key) != saved.get(key) {
                let show = |table: &Table| match table.get(key) {
                    Some(value) => value.to_string(),
                    None => "not set".to_string(),
                };
                return Err(ConfigError::ChangedOnResume {
                    key: key.clone(),
                    given: show(&given),
                    saved: show(&saved),
                });
            }
        }
        Ok(())
    }

    /// Refuses settings that contradict a position: `done` steps of a run on `train_samples` samples that has gone on with
    /// the `saved` settings so far.
    ///
    /// # Errors
    /// The run would have ended before that step, or the rest would follow another schedule without a word about it.
    pub fn validate_position(
        &self,
        saved: &Self,
        train_samples: usize,
        done: u64,
    ) -> Result<(), ConfigError> {
        let per_epoch = plan::steps_per_epoch(train_samples, self.batch_size as usize).max(1);
        let end = total_steps(self, train_samples);
        if end < done {
            return Err(match self.max_steps.filter(|limit| *limit == end) {
                Some(limit) => ConfigError::Invalid {
                    key: "max-steps",
                    message: format!(
                        "is {limit}, but {done} steps of this run are done: give {done} or more, or 0 for no limit"
                    ),
                },
                None => ConfigError::Invalid {
                    key: "epochs",
                    message: format!(
                        "is {}, which ends the run at step {end}, but {done} steps of it are done: give {} or more",
                        self.epochs,
                        done.div_ceil(per_epoch)
                    ),
                },
            });
        }
        self.validate_schedule(saved, train_samples, done, per_epoch)
    }

    /// A schedule that spans the whole run is another one where the run becomes longer or shorter. The warm-up is not
    /// part of it, and a length that is given is meant.
    fn validate_schedule(
        &self,
        saved: &Self,
        train_samples: usize,
        done: u64,
        per_epoch: u64,
    ) -> Result<(), ConfigError> {
        let spanned = [saved, self].map(|config| steps_spanned(config, train_samples));
        let unsaid = self.lr_schedule_epochs.is_none();
        let follows = self.lr_schedule == LrSchedule::Cosine && done > self.warmup_steps;
        if !follows || !unsaid || spanned[0] == spanned[1] {
            return Ok(());
        }
        let [before, now] = spanned;
        let keep = match before.is_multiple_of(per_epoch) {
            true => format!(
                "--lr-schedule-epochs {} keeps it (with the rate 0 beyond its end)",
                before / per_epoch
            ),
            false => "it ended within an epoch and cannot be kept in a longer run".to_string(),
        };
        Err(ConfigError::Invalid {
            key: "lr-schedule",
            message: format!(
                "the cosine has spanned {before} steps so far and would span {now} with these --epochs and --max-steps, \
                 another one than that of a run of this length: {keep}; --lr-schedule-epochs {} changes it from step \
                 {done} on",
                now.div_ceil(per_epoch)
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn config(flags: &[&str]) -> Config {
        let command = Config::augment_args(Command::new("coordinator"));
        let matches = command.get_matches_from([&["coordinator"], flags].concat());
        let mut config = Config::from_arg_matches(&matches).unwrap();
        config.validate().unwrap();
        config.resolve(4);
        config
    }

    #[test]
    fn a_resumed_run_keeps_what_shapes_it() {
        let saved = config(&["--workers", "4"]);
        config(&["--workers", "2", "--epochs", "9"]).validate_resume(&saved).unwrap();
        let message = config(&["--batch-size", "50"]).validate_resume(&saved).unwrap_err();
        assert!(message.to_string().contains("--batch-size is 50 here but 100"), "{message}");
        let message = config(&["--max-steps", "5", "--logical-shards", "9"])
            .validate_resume(&saved)
            .unwrap_err();
        assert!(message.to_string().contains("--logical-shards is 9 here but 8"), "{message}");
    }

    /// Of a run of ten steps an epoch.
    fn at(saved: &[&str], given: &[&str], done: u64) -> String {
        let result = config(given).validate_position(&config(saved), 1000, done);
        result.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_run_cannot_end_before_where_it_is() {
        let check = |given: &[&str], done, expected: &str| {
            let message = at(&["--epochs", "9"], given, done);
            assert!(message.contains(expected), "{given:?}: {message}");
            assert_eq!(message.is_empty(), expected.is_empty(), "{given:?}: {message}");
        };
        check(&["--epochs", "2"], 20, "");
        check(&["--epochs", "1"], 20, "--epochs: is 1, which ends the run at step 10, but 20");
        check(&["--epochs", "1"], 21, "give 3 or more");
        check(&["--epochs", "9", "--max-steps", "20"], 20, "");
        check(&["--epochs", "9", "--max-steps", "19"], 20, "--max-steps: is 19, but 20 steps");
        check(&["--epochs", "9", "--max-steps", "0"], 20, "");
        check(&["--epochs", "1", "--max-steps", "30"], 20, "--epochs: is 1");
    }

    #[test]
    fn a_cosine_that_becomes_another_is_refused_unless_it_is_meant() {
        let saved = ["--lr-schedule", "cosine", "--epochs", "3", "--warmup-steps", "5"];
        let check = |given: &[&str], done, expected: &str| {
            let given = [&saved[..2], &saved[4..], given].concat();
            let message = at(&saved, &given, done);
            assert!(message.contains(expected), "{given:?}: {message}");
            assert_eq!(message.is_empty(), expected.is_empty(), "{given:?}: {message}");
        };
        check(&["--epochs", "3"], 20, "");
        check(&["--epochs", "5"], 20, "--lr-schedule-epochs 3 keeps it");
        check(&["--epochs", "5"], 20, "--lr-schedule-epochs 5 changes it from step 20 on");
        check(&["--epochs", "3", "--max-steps", "25"], 20, "would span 25");
        check(&["--epochs", "5"], 5, "");
        check(&["--epochs", "5", "--lr-schedule-epochs", "3"], 20, "");
        check(&["--epochs", "5", "--lr-schedule-epochs", "5"], 20, "");
        let within = ["--lr-schedule", "cosine", "--epochs", "3", "--max-steps", "25"];
        let message = at(&within, &within[..4], 25);
        assert!(message.contains("ended within an epoch"), "{message}");
        assert_eq!(at(&["--epochs", "3"], &["--epochs", "5"], 20), "");
    }
}
