//! `metrics.jsonl` and `digests.jsonl`: a line for a step is there once, whoever reports it again.
//!
//! After a loss the new first rank reports what may not have arrived from the one before.

use std::io;
use std::path::Path;

use anyhow::Result;
use common::digests::StepDigests;
use common::metrics::{EpochMetrics, Record};
use serde::Deserialize;

use super::atomic;
use super::line_log::{self, LineLog};
use super::model_file::CheckpointMetadata;
use super::place::DIGESTS;

/// The open file.
#[derive(Debug)]
pub struct MetricsLog {
    lines: LineLog,
    /// The first step and the first epoch that have no line yet.
    next: Next,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Next {
    step: u64,
    epoch: u64,
}

impl MetricsLog {
    /// Opens it for appending, new or as it is.
    ///
    /// # Errors
    /// The system's own.
    pub fn open(path: &Path) -> io::Result<Self> {
        let lines = LineLog::open(path)?;
        let mut next = Next::default();
        let text = std::fs::read(path)?;
        for line in String::from_utf8_lossy(&text).lines() {
            match serde_json::from_str(line) {
                Ok(Line::Step { step }) => next.step = next.step.max(step.saturating_add(1)),
                Ok(Line::Epoch { epoch }) => next.epoch = next.epoch.max(epoch.saturating_add(1)),
                Err(_) => {}
            }
        }
        Ok(Self { lines, next })
    }

    /// Adds a line, unless it is there.
    ///
    /// # Errors
    /// The system's own; what was written of the line is taken back.
    pub fn append(&mut self, record: &Record) -> io::Result<()> {
        let mut next = self.next;
        let (number, known) = match record {
            Record::Step(metrics) => (metrics.step.0, &mut next.step),
            Record::Epoch(metrics) => (metrics.epoch.0, &mut next.epoch),
        };
        if number < *known {
            return Ok(());
        }
        *known = number + 1;
        self.lines.append(record)?;
        self.next = next;
        Ok(())
    }

    /// Adds a line of digests, unless it is there.
    ///
    /// # Errors
    /// As [`MetricsLog::append`].
    pub fn append_digests(&mut self, digests: &StepDigests) -> io::Result<()> {
        if digests.step.0 >= self.next.step {
            self.lines.append(digests)?;
            self.next.step = digests.step.0 + 1;
        }
        Ok(())
    }

    /// Makes every line so far durable.
    ///
    /// # Errors
    /// The system's own.
    pub fn sync(&self) -> io::Result<()> {
        self.lines.sync()
    }
}

/// What is recorded of a run's tensors, step by step.
///
/// # Errors
/// It cannot be read, or a line cannot be understood.
pub fn digests(root: &Path) -> Result<Vec<StepDigests>> {
    line_log::read(&root.join(DIGESTS))
}

/// The last line of that, or none: without reading all before it.
///
/// # Errors
/// As [`digests`].
pub fn last_digests(root: &Path) -> Result<Option<StepDigests>> {
    line_log::read_last(&root.join(DIGESTS))
}

/// The newest epoch's line; none where there is none that can be read.
///
/// # Errors
/// The system's own.
pub fn last_epoch(path: &Path) -> io::Result<Option<EpochMetrics>> {
    let text = std::fs::read(path)?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().rev().find_map(|line| match serde_json::from_str(line) {
        Ok(Record::Epoch(metrics)) => Some(metrics),
        _ => None,
    }))
}

/// What deciding about a line needs to know of a [`Record`].
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line {
    Step { step: u64 },
    Epoch { epoch: u64 },
}

/// Takes back what happened after a checkpoint: the steps not yet done there and the epochs not yet complete. Lines
/// that cannot be read (a crash may tear the last) go too; their number is returned.
///
/// # Errors
/// The system's own.
pub fn cut_back(path: &Path, position: &CheckpointMetadata) -> io::Result<usize> {
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut unreadable = 0;
    let mut kept = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match serde_json::from_str(line) {
            Ok(parsed) if line.ends_with('\n') => {
                if is_before(&parsed, position) {
                    kept.push_str(line);
                }
            }
            _ => unreadable += 1,
        }
    }
    if kept != text {
        atomic::write(path, kept.as_bytes())?;
    }
    Ok(unreadable)
}

fn is_before(line: &Line, position: &CheckpointMetadata) -> bool {
    match line {
        Line::Step { step } => *step < position.step,
        Line::Epoch { epoch } => *epoch < position.epoch,
    }
}

#[cfg(test)]
mod tests {
    use common::ids::{Epoch, Step};
    use common::metrics::StepMetrics;

    use super::*;

    fn position(epoch: u64, step: u64) -> CheckpointMetadata {
        let resume_sha256 = String::new();
        CheckpointMetadata { resume_sha256, epoch, step_in_epoch: 0, step, tensors_sha256: None }
    }

    fn check(text: &str, epoch: u64, step: u64, expected: &str, unreadable: usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        std::fs::write(&path, text).unwrap();
        assert_eq!(cut_back(&path, &position(epoch, step)).unwrap(), unreadable);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    }

    const STEP_0: &str = "{\"kind\":\"step\",\"epoch\":0,\"step\":0}\n";
    const STEP_9: &str = "{\"kind\":\"step\",\"epoch\":0,\"step\":9}\n";
    const EPOCH_0: &str = "{\"kind\":\"epoch\",\"epoch\":0,\"loss\":0.5}\n";
    const STEP_10: &str = "{\"kind\":\"step\",\"epoch\":1,\"step\":10}\n";

    #[test]
    fn later_steps_and_incomplete_epochs_go() {
        let all = [STEP_0, STEP_9, EPOCH_0, STEP_10].concat();
        check(&all, 1, 11, &all, 0);
        check(&all, 1, 10, &[STEP_0, STEP_9, EPOCH_0].concat(), 0);
        check(&all, 0, 10, &[STEP_0, STEP_9].concat(), 0);
        check(&all, 0, 9, STEP_0, 0);
        check(&all, 0, 0, "", 0);
    }

    #[test]
    fn a_torn_last_line_goes() {
        check(&[STEP_0, "{\"kind\":\"st"].concat(), 5, 50, STEP_0, 1);
        check(&[STEP_0, STEP_9.trim_end()].concat(), 5, 50, STEP_0, 1);
    }

    #[test]
    fn a_line_of_another_kind_goes() {
        let other = "{\"kind\":\"stpe\",\"epoch\":0,\"step\":0}\n";
        check(&[other, EPOCH_0].concat(), 1, 0, EPOCH_0, 1);
    }

    #[test]
    fn what_is_reported_again_is_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        std::fs::write(&path, [STEP_0, STEP_9].concat()).unwrap();
        let step = |step| {
            let metrics = StepMetrics { step: Step(step), ..metrics() };
            Record::Step(metrics)
        };
        for _ in 0..2 {
            let mut log = MetricsLog::open(&path).unwrap();
            for number in [0, 9, 10, 10, 11] {
                log.append(&step(number)).unwrap();
            }
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 4);
    }

    fn metrics() -> StepMetrics {
        StepMetrics {
            epoch: Epoch(0),
            step: Step(0),
            loss: 0.1 + 0.2,
            softmax_loss: f64::MIN_POSITIVE,
            center_loss: 1.0 / 3.0,
            lr: 1e-3,
            images_per_second: 400.0,
            ..StepMetrics::default()
        }
    }

    #[test]
    fn floats_are_written_at_full_precision() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let record = Record::Step(metrics());
        MetricsLog::open(&path).unwrap().append(&record).unwrap();
        let line = std::fs::read_to_string(&path).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
        assert!(line.contains("0.30000000000000004"), "{line}");
    }
}
