//! The network's learning rate as a pure function of the step. The centers' rate is constant.

use super::{Config, LrSchedule};
use crate::ids::{Epoch, Step};

/// Where a step lies in its run.
#[derive(Clone, Copy, Debug)]
pub struct StepPosition {
    /// Epoch the step belongs to.
    pub epoch: Epoch,
    /// Counted from 0 over the run.
    pub step: Step,
    /// Steps that the schedule spans, the warm-up among them: [`steps_spanned`].
    pub steps_spanned: u64,
}

/// The learning rate of one step: `--lr`, multiplied by `--lr-gamma` every `--lr-step` epochs (PyTorch's `StepLR`),
/// by ½(1 + cos(π·t/T)) over the steps after the warm-up that the schedule spans (0 beyond them), or by nothing; during
/// the warm-up by (step + 1)/`--warmup-steps`.
pub fn learning_rate(config: &Config, position: StepPosition) -> f64 {
    let StepPosition { epoch, step, steps_spanned } = position;
    if step.0 < config.warmup_steps {
        return config.lr * (step.0 + 1) as f64 / config.warmup_steps as f64;
    }
    match config.lr_schedule {
        LrSchedule::Step => {
            config.lr * libm::pow(config.lr_gamma, (epoch.0 / config.lr_step) as f64)
        }
        LrSchedule::Constant => config.lr,
        LrSchedule::Cosine => {
            let done = (step.0 - config.warmup_steps) as f64;
            let span = steps_spanned.saturating_sub(config.warmup_steps).max(1) as f64;
            config.lr * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * (done / span).min(1.0)))
        }
    }
}

/// Steps of a whole run: every epoch's, or `--max-steps` if that is fewer.
pub fn total_steps(config: &Config, train_samples: usize) -> u64 {
    let per_epoch = crate::plan::steps_per_epoch(train_samples, config.batch_size as usize);
    let all = per_epoch.saturating_mul(config.epochs);
    config.max_steps.map_or(all, |limit| limit.min(all))
}

/// Steps that a schedule of a fixed length spans: `--lr-schedule-epochs`, or those of the whole run.
pub fn steps_spanned(config: &Config, train_samples: usize) -> u64 {
    let per_epoch = crate::plan::steps_per_epoch(train_samples, config.batch_size as usize);
    let given = config.lr_schedule_epochs.map(|epochs| per_epoch.saturating_mul(epochs));
    given.unwrap_or_else(|| total_steps(config, train_samples))
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn check(flags: &[&str], epoch: u64, step: u64, expected: f64) {
        let command = Config::augment_args(Command::new("coordinator"));
        let matches = command.get_matches_from([&["coordinator"], flags].concat());
        let config = Config::from_arg_matches(&matches).unwrap();
        let position = StepPosition { epoch: Epoch(epoch), step: Step(step), steps_spanned: 1000 };
        let rate = learning_rate(&config, position);
        assert!((rate - expected).abs() < 1e-15, "{flags:?} at {epoch}, {step}: {rate}");
    }

    #[test]
    fn step_schedule() {
        check(&[], 0, 0, 0.001);
        check(&[], 19, 11_999, 0.001);
        check(&[], 20, 12_000, 0.0008);
        check(&[], 40, 24_000, 0.00064);
    }

    #[test]
    fn warm_up_then_constant() {
        let flags = &["--lr-schedule", "constant", "--warmup-steps", "4"];
        check(flags, 0, 0, 0.00025);
        check(flags, 0, 4, 0.001);
        check(flags, 140, 84_000, 0.001);
    }

    #[test]
    fn warm_up_then_cosine() {
        let flags = &["--lr", "0.1", "--warmup-steps", "200", "--lr-schedule", "cosine"];
        check(flags, 0, 0, 0.0005);
        check(flags, 0, 199, 0.1);
        check(flags, 0, 200, 0.1);
        check(flags, 0, 600, 0.05);
        check(flags, 0, 1000, 0.0);
    }

    #[test]
    fn a_schedule_may_span_more_or_less_than_the_run() {
        let check = |flags: &[&str], expected| {
            let command = Config::augment_args(Command::new("coordinator"));
            let matches = command.get_matches_from([&["coordinator"], flags].concat());
            let config = Config::from_arg_matches(&matches).unwrap();
            assert_eq!(steps_spanned(&config, 1000), expected, "{flags:?}");
        };
        check(&["--epochs", "3"], 30);
        check(&["--epochs", "3", "--max-steps", "7"], 7);
        check(&["--epochs", "3", "--max-steps", "7", "--lr-schedule-epochs", "5"], 50);
    }
}
