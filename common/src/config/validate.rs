//! What is refused before anything starts.

use super::settings::LOGICAL_SHARDS;
use super::{Config, ConfigError, Network, Precision};

impl Config {
    /// Refuses what can be read but not trained with.
    ///
    /// # Errors
    /// The first setting that is wrong, and what to give instead.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for (key, value) in [
            ("workers", u64::from(self.workers)),
            ("epochs", self.epochs),
            ("batch-size", self.batch_size),
            ("test-batch-size", self.test_batch_size),
            ("feature-dim", self.feature_dim),
            ("lr-step", self.lr_step),
            ("checkpoint-every", self.checkpoint_every),
            ("log-every", self.log_every),
            ("picture-every", self.picture_every),
            ("logical-shards", self.logical_shards.map_or(1, u64::from)),
            ("threads", self.threads.map_or(1, u64::from)),
            ("train-samples", self.train_samples.unwrap_or(1)),
            ("lr-schedule-epochs", self.lr_schedule_epochs.unwrap_or(1)),
            ("min-workers", u64::from(self.least_workers())),
        ] {
            require(value > 0, key, || "must be at least 1".to_string())?;
        }
        for (key, value, limit) in [
            ("workers", u64::from(self.workers), 65_536),
            ("max-workers", u64::from(self.most_workers()), 65_536),
            ("logical-shards", self.shard_count() as u64, 65_536),
            ("batch-size", self.batch_size, 1 << 24),
            ("test-batch-size", self.test_batch_size, 1 << 24),
            ("feature-dim", self.feature_dim, 4096),
            ("threads", u64::from(self.thread_count()), 1024),
        ] {
            require(value <= limit, key, || format!("is {value}, the limit is {limit}"))?;
        }
        self.validate_numbers()
    }

    fn validate_numbers(&self) -> Result<(), ConfigError> {
        for (key, value) in [
            ("lr", self.lr),
            ("lr-gamma", self.lr_gamma),
            ("momentum", self.momentum),
            ("weight-decay", self.weight_decay),
            ("center-weight", self.center_weight),
            ("center-lr", self.center_lr),
        ] {
            let valid = value.is_finite() && value >= 0.0;
            require(valid, key, || format!("is {value}, must be a finite number, 0 or more"))?;
        }
        self.validate_normalisation()?;
        require((0.0..1.0).contains(&self.test_fraction), "test-fraction", || {
            format!("is {}, must be 0 to below 1", self.test_fraction)
        })?;
        let rounds_something = self.precision != Precision::Bf16 || self.network != Network::Mlp;
        require(rounds_something, "precision", || {
            "bf16 rounds what convolutions multiply, and --network mlp has none: give f32 or tf32"
                .to_string()
        })?;
        let compares_something = self.cross_check == 0 || !self.allow_mixed_hardware;
        require(compares_something, "cross-check", || {
            "compares what workers compute to the bit, and with --allow-mixed-hardware they need not compute alike: leave one \
             of them out"
                .to_string()
        })?;
        let names_something = self.init_from.is_some() || self.init_prefix.is_none();
        require(names_something, "init-prefix", || {
            "chooses among the tensors of a file, give that with --init-from".to_string()
        })?;
        self.validate_cluster()?;
        let formats = &self.picture_format;
        require(!formats.is_empty(), "picture-format", || "give at least one format".to_string())
    }

    fn validate_cluster(&self) -> Result<(), ConfigError> {
        let (least, most, workers) = (self.least_workers(), self.most_workers(), self.workers);
        let has_enough = self.logical_shards.is_some() || workers <= LOGICAL_SHARDS;
        require(has_enough, "logical-shards", || {
            format!(
                "give {workers} or more for as many workers: without it there are {LOGICAL_SHARDS}, however many \
                 workers, and the result depends on it"
            )
        })?;
        require(least <= workers, "min-workers", || {
            format!("is {least}, more than the {workers} of --workers")
        })?;
        require(most >= workers, "max-workers", || {
            format!("is {most}, less than the {workers} of --workers")
        })?;
        for (key, value, least) in [
            ("collective-timeout", self.collective_timeout, 1.0),
            ("rejoin-timeout", self.rejoin_timeout, 0.0),
            ("heartbeat-interval", self.heartbeat_interval, 0.01),
            ("heartbeat-timeout", self.heartbeat_timeout, 2.0 * self.heartbeat_interval),
        ] {
            // A year is longer than anybody waits, and short enough to be added to any time.
            let valid = value.is_finite() && value >= least && value <= 31_536_000.0;
            require(valid, key, || format!("is {value}, must be at least {least} seconds"))?;
        }
        Ok(())
    }
}

fn require(
    valid: bool,
    key: &'static str,
    message: impl FnOnce() -> String,
) -> Result<(), ConfigError> {
    if valid { Ok(()) } else { Err(ConfigError::Invalid { key, message: message() }) }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn config(flags: &[&str]) -> Config {
        let command = Config::augment_args(Command::new("coordinator"));
        let matches = command.get_matches_from([&["coordinator"], flags].concat());
        Config::from_arg_matches(&matches).unwrap()
    }

    fn check(flags: &[&str], expected: &str) {
        let message = config(flags).validate().unwrap_err().to_string();
        assert!(message.contains(expected), "{flags:?}: {message}");
    }

    #[test]
    fn zeros_and_nonsense_are_refused() {
        config(&[]).validate().unwrap();
        check(&["--workers", "0"], "--workers: must be at least 1");
        check(&["--epochs", "0"], "--epochs: must be at least 1");
        check(&["--batch-size", "0"], "--batch-size: must be at least 1");
        check(&["--train-samples", "0"], "--train-samples");
        check(&["--logical-shards", "0"], "--logical-shards");
        check(&["--lr", "nan"], "--lr: is NaN");
        check(&["--lr=-1"], "--lr: is -1");
        check(&["--pixel-std", "0"], "--pixel-std");
        check(&["--workers", "2", "--min-workers", "3"], "--min-workers: is 3, more than the 2");
        check(&["--workers", "2", "--max-workers", "1"], "--max-workers: is 1, less than the 2");
        check(&["--min-workers", "0"], "--min-workers");
        check(&["--workers", "9"], "--logical-shards: give 9 or more");
        config(&["--workers", "8"]).validate().unwrap();
        config(&["--workers", "9", "--logical-shards", "9"]).validate().unwrap();
        check(&["--network", "mlp", "--precision", "bf16"], "--precision: bf16 rounds");
        check(&["--init-prefix", "ema"], "--init-prefix: chooses among the tensors of a file");
        check(&["--heartbeat-timeout", "1"], "--heartbeat-timeout: is 1, must be at least 2");
        check(&["--collective-timeout", "0.5"], "--collective-timeout: is 0.5");
    }

    #[test]
    fn no_test_samples_are_allowed() {
        config(&["--test-samples", "0"]).validate().unwrap();
    }
}
