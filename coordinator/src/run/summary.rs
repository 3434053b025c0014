//! The last words of a run: what was reached, how fast, and where the results are.

use std::time::Duration;

use proto::StatusReply;

use super::progress::duration;
use crate::cluster::membership::Outcome;
use crate::run_directory::CHECKPOINTS;

/// What the summary is made of.
#[derive(Debug)]
pub struct Facts<'f> {
    /// How the run ended.
    pub outcome: &'f Outcome,
    /// Its last status.
    pub status: &'f StatusReply,
    /// Steps that are done in the newest checkpoint, if there is one.
    pub stored: Option<u64>,
    /// Its fingerprint, where a checkpoint is stored.
    pub fingerprint: Option<String>,
    /// How long it trained, if it did.
    pub training_time: Option<Duration>,
    /// The data were not real.
    pub synthetic: bool,
}

/// The summary, several lines.
pub fn text(facts: &Facts<'_>) -> String {
    let status = facts.status;
    let how = match facts.outcome {
        Outcome::Completed => "training finished".to_string(),
        Outcome::Stopped { reason } => format!("training stopped early: {reason}"),
        Outcome::Failed { reason, .. } => format!("training failed: {reason}"),
    };
    // The last heartbeat may be older than the end, and what is not stored has not been reached.
    let steps = match facts.outcome {
        Outcome::Completed => status.total_steps,
        Outcome::Stopped { .. } => facts.stored.unwrap_or(status.step),
        Outcome::Failed { .. } => status.step,
    };
    let mut lines = vec![format!("{how}, at step {steps} of {}", status.total_steps)];
    if let Some(epoch) = &status.last_epoch {
        let accuracy = match &epoch.test {
            Some(test) => format!("test accuracy {:.2} %", 100.0 * test.accuracy),
            None => {
                format!("training accuracy {:.2} % (no test samples)", 100.0 * epoch.train_accuracy)
            }
        };
        lines.push(format!("  {accuracy} after epoch {}", epoch.epoch));
        lines.push(format!("  {:.0} images/s in that epoch", epoch.images_per_second));
    }
    if let Some(time) = facts.training_time {
        lines.push(format!("  {} from start to end", duration(time.as_secs_f64())));
    }
    let directory = &status.run_directory;
    lines.push(format!("  pictures     {directory}/pictures"));
    lines.push(format!("  checkpoints  {directory}/{CHECKPOINTS}"));
    if let Some(fingerprint) = &facts.fingerprint {
        lines.push(format!("  fingerprint  {fingerprint}"));
    }
    if *facts.outcome != Outcome::Completed && !status.last_checkpoint.is_empty() {
        lines.push(format!("  go on with    coordinator --resume {directory}"));
    }
    if facts.synthetic {
        lines.push(
            "*** SYNTHETIC DATA: these digits are drawn by the program, this is not MNIST ***"
                .to_string(),
        );
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use proto::{EpochMetrics, TestMetrics};

    use super::*;

    #[test]
    fn a_run_that_was_stopped_has_reached_what_is_stored() {
        let status = StatusReply { step: 17, total_steps: 2000, ..StatusReply::default() };
        let reason = "interrupted".to_string();
        let outcome = Outcome::Stopped { reason };
        let text = |stored| {
            let (training_time, synthetic) = (None, false);
            let (status, outcome) = (&status, &outcome);
            text(&Facts { outcome, status, stored, fingerprint: None, training_time, synthetic })
        };
        assert!(text(Some(18)).contains("interrupted, at step 18 of 2000"), "{}", text(Some(18)));
        assert!(text(None).contains("at step 17 of 2000"), "{}", text(None));
    }

    #[test]
    fn it_says_what_was_reached_and_where() {
        let test = Some(TestMetrics { accuracy: 0.9731, ..TestMetrics::default() });
        let status = StatusReply {
            run_directory: "runs/x".to_string(),
            step: 1990,
            total_steps: 2000,
            last_epoch: Some(EpochMetrics {
                epoch: 3,
                images_per_second: 402.4,
                test,
                ..EpochMetrics::default()
            }),
            ..StatusReply::default()
        };
        let text = text(&Facts {
            outcome: &Outcome::Completed,
            status: &status,
            stored: Some(1990),
            fingerprint: Some("5eed".to_string()),
            training_time: Some(Duration::from_secs(123)),
            synthetic: true,
        });
        for expected in [
            "step 2000 of 2000",
            "test accuracy 97.31 %",
            "402 images/s",
            "fingerprint  5eed",
            "2m 3s",
            "runs/x/pictures",
            "SYNTHETIC",
        ] {
            assert!(text.contains(expected), "{expected} is missing in\n{text}");
        }
    }
}
