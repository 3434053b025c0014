//! A stretch of a run: what the run has left of it, and the same of another run that computes it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use common::config::Config;
use common::digests::StepDigests;
use common::plan as samples;
use safetensors::SafeTensors;
use tokio::time::sleep;

use super::findings::Findings;
use super::plan::ReplayPlan;
use super::start::Start;
use crate::data::DataIdentity;
use crate::run_directory::{
    CHECKPOINTS, CheckpointPaths, DIGESTS, digests, last_digests, saved_config, whole_checkpoints,
};

/// Between two looks at how far the stretch is.
const POLL: Duration = Duration::from_millis(100);
/// A checkpoint at an epoch's end.
const EPOCH: &str = "epoch=";

/// A stretch of a run.
pub struct Stretch {
    /// The run's settings.
    pub config: Config,
    /// What it begins with.
    pub start: Start,
    /// Steps done at its end.
    pub end: u64,
    /// What is recorded of its steps, in their order.
    recorded: Vec<StepDigests>,
    /// Names of the checkpoints at ends of its epochs.
    checkpoints: Vec<String>,
}

impl Stretch {
    /// The one that is asked for.
    ///
    /// # Errors
    /// There is no such run, it has recorded nothing, or that is no stretch of it.
    pub fn of(plan: &ReplayPlan) -> Result<Self> {
        let root = &plan.run_dir;
        let config = saved_config(root)?;
        config.validate().with_context(|| format!("the settings of {}", root.display()))?;
        let train_samples = DataIdentity::read(root)?.train_samples as usize;
        let per_epoch = samples::steps_per_epoch(train_samples, config.batch_size as usize).max(1);
        let mut recorded = digests(root)?;
        let Some(last) = recorded.last() else {
            bail!(
                "{} has no {DIGESTS}, in which a run records its tensors: there is nothing to compare with",
                root.display()
            );
        };
        let checkpoints = whole_checkpoints(&root.join(CHECKPOINTS))
            .with_context(|| format!("cannot read {}", root.join(CHECKPOINTS).display()))?;
        let stored = checkpoints.iter().map(|(_, step)| *step).max().unwrap_or(0);
        let done = stored.max(last.step.0.saturating_add(1));
        let from = plan.from.steps(per_epoch);
        let end = plan.to.map_or(done, |to| to.steps(per_epoch));
        ensure!(from < end, "--from is step {from}, --to step {end}: that is no stretch of a run");
        ensure!(end <= done, "--to is step {end}, and the run has done {done}");
        let start = Start::of(&checkpoints, from);
        recorded.retain(|line| (start.steps..end).contains(&line.step.0));
        ensure!(
            !recorded.is_empty(),
            "the run has recorded its tensors at no step from {} to {end}: it did so every {} steps (--log-every)",
            start.steps,
            config.log_every
        );
        let is_within = |(stem, step): &(String, u64)| {
            stem.starts_with(EPOCH) && start.steps < *step && *step <= end
        };
        let within = checkpoints.into_iter().filter(is_within).map(|(stem, _)| stem).collect();
        Ok(Self { config, start, end, recorded, checkpoints: within })
    }

    /// Steps between two that are recorded, or a part of that.
    pub fn interval(&self) -> u64 {
        let steps = self.recorded.iter().map(|line| line.step.0);
        steps.fold(0, greatest_common_divisor).max(1)
    }

    /// Waits until all that is to be compared is there.
    pub async fn is_computed(&self, root: &Path) {
        while !self.is_far_enough(root) {
            sleep(POLL).await;
        }
    }

    /// Whether all that is to be compared is there.
    pub fn is_far_enough(&self, root: &Path) -> bool {
        let last = self.recorded.last().map_or(0, |line| line.step.0);
        // What cannot be read yet is not there.
        let computed = last_digests(root).ok().flatten();
        computed.is_some_and(|line| line.step.0 >= last)
            && self.checkpoints.iter().all(|stem| model(root, stem).is_file())
    }

    /// Compares what the run has left with what another has.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn compare(&self, run: &Path, again: &Path) -> Result<Findings> {
        let mut findings = Findings::of(&self.recorded, &digests(again)?);
        for stem in &self.checkpoints {
            let different = different_tensors(&model(run, stem), &model(again, stem))?;
            findings.checkpoints.push((stem.clone(), different));
        }
        Ok(findings)
    }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

fn model(root: &Path, stem: &str) -> PathBuf {
    CheckpointPaths::new(&root.join(CHECKPOINTS), stem).model
}

/// The tensors of two model files that differ in a byte, type or shape, or that one lacks.
fn different_tensors(one: &Path, other: &Path) -> Result<Vec<String>> {
    let read = |path: &Path| {
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let contents = [read(one)?, read(other)?];
    let parse = |content, path: &Path| {
        SafeTensors::deserialize(content).with_context(|| format!("{} is damaged", path.display()))
    };
    let (one, other) = (parse(&contents[0], one)?, parse(&contents[1], other)?);
    let mut names: Vec<&str> = one.names().into_iter().chain(other.names()).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| match (one.tensor(name), other.tensor(name)) {
        (Ok(one), Ok(other)) => one != other,
        _ => true,
    });
    Ok(names.into_iter().map(str::to_string).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_meets_all_steps_however_they_were_recorded() {
        let interval =
            |steps: &[u64]| steps.iter().copied().fold(0, greatest_common_divisor).max(1);
        assert_eq!(interval(&[0, 10, 20]), 10);
        assert_eq!(interval(&[0, 10, 20, 24, 28]), 2);
        assert_eq!((interval(&[0]), interval(&[30]), interval(&[7, 8])), (1, 30, 1));
    }
}
