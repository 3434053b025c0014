//! `coordinator audit RUN_DIR`: proves from a run's ledger that every epoch used each sample once, or says which not.
//!
//! A generation's line says from which step it goes on; earlier lines about that step and those after it are void. What
//! remains must follow each other without gap or overlap, belong to the generation that was running, and cover each
//! epoch's permutation, which holds every sample once (`common::plan`).

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use common::config::schedule;
use common::ids::Generation;
use serde::Serialize;

use super::verdict::Verdict;
use crate::data::DataIdentity;
use crate::run_directory::ledger::{Entry, Line};
use crate::run_directory::{self, events_log};

/// Faults that are listed; more are only counted.
const LISTED: usize = 20;

/// A validated wish for proof.
#[derive(Clone, Debug, clap::Args)]
pub struct AuditPlan {
    /// Folder of the run
    #[arg(value_name = "RUN_DIR")]
    pub run_dir: PathBuf,
    /// Print everything as JSON
    #[arg(long)]
    pub json: bool,
}

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Generations that began.
    pub generations: u64,
    /// Members that were lost.
    pub losses: u64,
    /// Steps that are done.
    pub steps: u64,
    /// Steps that were done and done again, after all who had them were lost.
    pub repeated_steps: u64,
    /// Epochs that used every sample.
    pub complete_epochs: u64,
    /// Positions of the next epoch's permutation that are used, from its beginning.
    pub samples_of_next_epoch: u64,
    /// What is wrong, in words.
    pub faults: Vec<String>,
}

/// Audits the run in a folder.
///
/// # Errors
/// It holds no run, or its files cannot be read.
pub fn command(plan: &AuditPlan) -> Result<Verdict> {
    let root = &plan.run_dir;
    let config = run_directory::saved_config(root)?;
    let data = DataIdentity::read(root)?;
    let lines = events_log::read(&root.join(run_directory::EVENTS))?;
    ensure!(!lines.is_empty(), "{} has no {}", root.display(), run_directory::EVENTS);
    let shape = RunShape {
        samples: data.train_samples,
        batch_size: config.batch_size,
        total_steps: schedule::total_steps(&config, data.train_samples as usize),
    };
    let findings = audit(&lines, shape);
    let clean = findings.faults.is_empty();
    let text = match plan.json {
        true => serde_json::to_string_pretty(&findings)?,
        false => describe(&findings, shape),
    };
    Ok(Verdict::new(text, clean))
}

/// What a run's steps are made of.
#[derive(Clone, Copy, Debug)]
pub struct RunShape {
    /// Training samples.
    pub samples: u64,
    /// Samples in a global batch.
    pub batch_size: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
}

impl RunShape {
    fn steps_per_epoch(&self) -> u64 {
        self.samples.div_ceil(self.batch_size).max(1)
    }

    /// Positions within its epoch that a step consumes.
    fn positions(&self, step: u64) -> (u64, u64) {
        let start = (step % self.steps_per_epoch()) * self.batch_size;
        (start, (start + self.batch_size).min(self.samples))
    }
}

/// Checks a ledger.
pub fn audit(lines: &[Line], shape: RunShape) -> Findings {
    let mut auditor =
        Auditor { shape, generation: Generation(0), done: 0, findings: Findings::default() };
    for line in lines {
        auditor.take(&line.entry);
    }
    auditor.conclude()
}

struct Auditor {
    shape: RunShape,
    generation: Generation,
    /// Steps from the run's beginning that are done without a gap.
    done: u64,
    findings: Findings,
}

impl Auditor {
    fn take(&mut self, entry: &Entry) {
        match entry {
            Entry::Generation { generation, step, .. } => self.begin(*generation, *step),
            Entry::Steps { generation, epoch, first, end, samples } => {
                self.steps(*generation, *epoch, (*first, *end), *samples);
            }
            Entry::Loss { .. } => self.findings.losses += 1,
            Entry::Coordinator { .. }
            | Entry::Join { .. }
            | Entry::Leave { .. }
            | Entry::Recovery { .. }
            | Entry::Computing(_)
            | Entry::End { .. } => {}
        }
    }

    fn begin(&mut self, generation: Generation, step: u64) {
        self.findings.generations += 1;
        if generation <= self.generation {
            self.fault(format!(
                "generation {generation} begins after generation {}",
                self.generation
            ));
        }
        if step > self.done {
            let done = self.done;
            self.fault(format!(
                "generation {generation} goes on from step {step}, but nobody did steps {done}…{}",
                step - 1
            ));
        }
        self.findings.repeated_steps += self.done.saturating_sub(step);
        (self.generation, self.done) = (generation, step);
    }

    fn steps(
        &mut self,
        generation: Generation,
        epoch: u64,
        (first, end): (u64, u64),
        samples: (u64, u64),
    ) {
        let name = format!("steps {first}…{}", end.saturating_sub(1));
        if generation != self.generation {
            self.fault(format!(
                "{name} belong to generation {generation}, but {} was running",
                self.generation
            ));
            return;
        }
        if first != self.done || end <= first {
            let done = self.done;
            self.fault(format!(
                "{name} follow step {}: some are missing or done twice",
                done as i64 - 1
            ));
            return;
        }
        let per_epoch = self.shape.steps_per_epoch();
        let expected = (self.shape.positions(first).0, self.shape.positions(end - 1).1);
        if first / per_epoch != epoch || (end - 1) / per_epoch != epoch || samples != expected {
            self.fault(format!(
                "{name} used positions {}…{} of epoch {epoch}, not {}…{} of epoch {}",
                samples.0,
                samples.1,
                expected.0,
                expected.1,
                first / per_epoch
            ));
        }
        self.done = end;
    }

    fn conclude(mut self) -> Findings {
        if self.done > self.shape.total_steps {
            let (done, total) = (self.done, self.shape.total_steps);
            self.fault(format!("{done} steps are done of a run that has {total}"));
        }
        let per_epoch = self.shape.steps_per_epoch();
        self.findings.steps = self.done;
        self.findings.complete_epochs = self.done / per_epoch;
        let within = self.done % per_epoch;
        self.findings.samples_of_next_epoch =
            if within == 0 { 0 } else { self.shape.positions(within - 1).1 };
        self.findings
    }

    fn fault(&mut self, what: String) {
        self.findings.faults.push(what);
    }
}

fn describe(findings: &Findings, shape: RunShape) -> String {
    let mut text = String::new();
    let samples = shape.samples;
    writeln!(
        text,
        "{} of {} steps done in {} generations, {} workers lost, {} steps repeated from a checkpoint",
        findings.steps, shape.total_steps, findings.generations, findings.losses, findings.repeated_steps
    )
    .ok();
    if findings.faults.is_empty() {
        write!(text, "{} epochs used each of {samples} samples once", findings.complete_epochs)
            .ok();
        if findings.samples_of_next_epoch > 0 {
            write!(
                text,
                ", and epoch {} used {} of them once so far",
                findings.complete_epochs, findings.samples_of_next_epoch
            )
            .ok();
        }
        return text;
    }
    writeln!(text, "NOT every sample was used once:").ok();
    for fault in findings.faults.iter().take(LISTED) {
        writeln!(text, "  {fault}").ok();
    }
    if findings.faults.len() > LISTED {
        writeln!(text, "  … and {} more", findings.faults.len() - LISTED).ok();
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: RunShape = RunShape { samples: 25, batch_size: 10, total_steps: 6 };

    fn generation(generation: u64, step: u64) -> Entry {
        let (origin, cause) = ("seed".to_string(), "why".to_string());
        Entry::Generation {
            generation: Generation(generation),
            step,
            origin,
            members: Vec::new(),
            cause,
        }
    }

    fn steps(generation: u64, epoch: u64, first: u64, end: u64, samples: (u64, u64)) -> Entry {
        Entry::Steps { generation: Generation(generation), epoch, first, end, samples }
    }

    fn check(entries: Vec<Entry>) -> Findings {
        let line = |entry| Line { time: "t".to_string(), entry };
        audit(&entries.into_iter().map(line).collect::<Vec<_>>(), SHAPE)
    }

    fn fault(entries: Vec<Entry>, expected: &str) {
        let faults = check(entries).faults;
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{faults:?}");
    }

    #[test]
    fn a_whole_run_is_clean() {
        let findings = check(vec![
            generation(1, 0),
            steps(1, 0, 0, 2, (0, 20)),
            generation(2, 2),
            steps(2, 0, 2, 3, (20, 25)),
            steps(2, 1, 3, 5, (0, 20)),
            // All were lost; the checkpoint was at step 4.
            generation(3, 4),
            steps(3, 1, 4, 6, (10, 25)),
        ]);
        let expected = Findings {
            generations: 3,
            steps: 6,
            repeated_steps: 1,
            complete_epochs: 2,
            ..Findings::default()
        };
        assert_eq!(findings, expected);
    }

    #[test]
    fn what_is_wrong_is_said() {
        fault(vec![generation(1, 0), steps(1, 0, 1, 2, (10, 20))], "missing or done twice");
        fault(
            vec![generation(1, 0), steps(1, 0, 0, 2, (0, 20)), steps(1, 0, 1, 2, (10, 20))],
            "done twice",
        );
        fault(vec![generation(1, 0), steps(2, 0, 0, 1, (0, 10))], "belong to generation 2");
        fault(vec![generation(1, 0), generation(2, 3)], "nobody did steps 0…2");
        fault(vec![generation(2, 0), generation(2, 0)], "generation 2 begins after generation 2");
        fault(vec![generation(1, 0), steps(1, 0, 0, 2, (0, 25))], "not 0…20 of epoch 0");
        fault(vec![generation(1, 0), steps(1, 0, 0, 4, (0, 10))], "of epoch 0");
    }
}
