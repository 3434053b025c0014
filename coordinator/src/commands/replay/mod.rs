//! `coordinator replay`: computes a stretch of a run again, on this machine, and says from which step on which tensor
//! differs from what the run has left.
//!
//! - [`plan`]: what is asked for;
//! - [`start`]: what it begins with;
//! - [`findings`]: what differs.
//!
//! The run is only read. Nothing here computes: the stretch is a run of this very program's
//! ([`child_run`](super::child_run)) with the run's settings, which ends when it has got far enough.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use common::config::Config;
use common::digests::StepDigests;
use common::plan as samples;
use safetensors::SafeTensors;
use tokio::time::sleep;

use super::child_run::{Interrupted, Request};
use super::folder::Folder;
use crate::data::DataIdentity;
use crate::interrupts;
use crate::run_directory::{
    CHECKPOINTS, CheckpointPaths, DIGESTS, saved_config, whole_checkpoints,
};

pub mod findings;
pub mod plan;
pub mod start;

pub use plan::ReplayPlan;

use findings::Findings;
use start::Start;

/// Between two looks at how far the stretch is.
const POLL: Duration = Duration::from_millis(100);
/// The stretch's name in its folder.
const NAME: &str = "run";

/// What is printed, and whether nothing differs.
#[derive(Debug)]
pub struct Verdict {
    /// For the user.
    pub text: String,
    code: u8,
}

impl Verdict {
    /// 0 only where nothing differs.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

/// A stretch of a run, and what the run has left of it.
struct Stretch {
    /// The run's settings.
    config: Config,
    start: Start,
    /// Steps done at its end.
    end: u64,
    /// What is recorded of its steps, in their order.
    recorded: Vec<StepDigests>,
    /// Names of the checkpoints at ends of its epochs.
    checkpoints: Vec<String>,
}

/// Computes the stretch and compares it.
///
/// # Errors
/// There is no such run or stretch, or what is computed fails, with its log's path.
pub async fn command(plan: &ReplayPlan) -> Result<Verdict> {
    let mut interrupts = interrupts::listen().context("listening for signals")?;
    let stretch = Stretch::of(plan)?;
    let folder = Folder::new(plan.keep.as_deref(), "replay")?;
    let request = stretch.request(plan, folder.path())?;
    eprintln!(
        "computing steps {} to {} again, from {}",
        stretch.start.steps, stretch.end, stretch.start
    );
    let root = request.root();
    if let Err(error) = request.run(&mut interrupts, stretch.is_computed(&root)).await {
        return match error.downcast_ref() {
            Some(Interrupted(how)) => {
                Ok(Verdict { text: how.name().to_string(), code: how.exit_code() })
            }
            None => {
                folder.keep();
                Err(error)
            }
        };
    }
    let findings = stretch.compare(plan, &root)?;
    let mut text = findings.sentence();
    if !findings.are_equal() {
        let kept = folder.keep().join(NAME);
        text.push_str(&format!("\nWhat was computed again is in {}", kept.display()));
    }
    Ok(Verdict { text, code: u8::from(!findings.are_equal()) })
}

impl Stretch {
    fn of(plan: &ReplayPlan) -> Result<Self> {
        let root = &plan.run_dir;
        let config = saved_config(root)?;
        let data = DataIdentity::read(root)?;
        let batch_size = config.batch_size as usize;
        let per_epoch = samples::steps_per_epoch(data.train_samples as usize, batch_size).max(1);
        let recorded = digests(root)?;
        let Some(last) = recorded.last() else {
            bail!(
                "{} has no {DIGESTS}, in which a run records its tensors: there is nothing to compare with",
                root.display()
            );
        };
        let checkpoints = whole_checkpoints(&root.join(CHECKPOINTS))
            .with_context(|| format!("cannot read {}", root.join(CHECKPOINTS).display()))?;
        let stored = checkpoints.iter().map(|(_, step)| *step).max().unwrap_or(0);
        let done = stored.max(last.step.0 + 1);
        let (from, end) = (plan.from.steps(per_epoch), plan.to.map(|to| to.steps(per_epoch)));
        let end = end.unwrap_or(done);
        ensure!(from < end, "--from is step {from}, --to step {end}: that is no stretch of a run");
        ensure!(end <= done, "--to is step {end}, and the run has done {done}");
        let start = Start::of(checkpoints, from);
        let of_stretch = |step: u64| (start.steps..end).contains(&step);
        let recorded: Vec<StepDigests> =
            recorded.into_iter().filter(|line| of_stretch(line.step.0)).collect();
        ensure!(
            !recorded.is_empty(),
            "the run has recorded its tensors at no step from {} to {end}: it did so every {} steps (--log-every)",
            start.steps,
            config.log_every
        );
        let ends = (0..).map(|epoch| (epoch, (epoch + 1) * per_epoch));
        let ends = ends.skip_while(|(_, steps)| *steps <= start.steps);
        let checkpoints = ends
            .take_while(|(_, steps)| *steps <= end)
            .map(|(epoch, _)| format!("epoch={epoch}"))
            .filter(|stem| model(root, stem).is_file())
            .collect();
        Ok(Self { config, start, end, recorded, checkpoints })
    }

    /// A run with its settings, but for who computes it and where.
    fn request(&self, plan: &ReplayPlan, folder: &Path) -> Result<Request> {
        let config = Config {
            run_dir: Some(folder.join(NAME)),
            workers: plan.workers,
            min_workers: None,
            max_workers: None,
            spawn: true,
            listen: "127.0.0.1:0".to_string(),
            // What this machine computes otherwise is to be found, not refused.
            allow_mixed_hardware: true,
            keep: 0,
            ..self.config.clone()
        };
        let root = folder.join(NAME);
        self.start.prepare(&plan.run_dir, &root, &config)?;
        let resumes = self.start.checkpoint.is_some();
        Ok(Request { name: NAME.to_string(), config, folder: folder.to_path_buf(), resumes })
    }

    /// Waits until all that is to be compared is there.
    async fn is_computed(&self, root: &Path) {
        let last = self.recorded.last().map_or(0, |line| line.step.0);
        let is_far_enough = || {
            let steps = digests(root).unwrap_or_default();
            steps.last().is_some_and(|line| line.step.0 >= last)
                && self.checkpoints.iter().all(|stem| model(root, stem).is_file())
        };
        while !is_far_enough() {
            sleep(POLL).await;
        }
    }

    fn compare(&self, plan: &ReplayPlan, root: &Path) -> Result<Findings> {
        let mut findings = Findings::of(&self.recorded, &digests(root)?);
        for stem in &self.checkpoints {
            let again = model(root, stem);
            if again.is_file() {
                let different = different_tensors(&model(&plan.run_dir, stem), &again)?;
                findings.checkpoints.push((stem.clone(), different));
            }
        }
        Ok(findings)
    }
}

fn model(root: &Path, stem: &str) -> PathBuf {
    CheckpointPaths::new(&root.join(CHECKPOINTS), stem).model
}

/// The lines of a run's digests; a last one that is torn is none.
fn digests(root: &Path) -> Result<Vec<StepDigests>> {
    let path = root.join(DIGESTS);
    let text = match std::fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", path.display()));
        }
    };
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// The tensors of two model files whose bytes differ, or that one lacks.
fn different_tensors(one: &Path, other: &Path) -> Result<Vec<String>> {
    let read = |path: &Path| {
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let (one, other) = (read(one)?, read(other)?);
    let (one, other) = (SafeTensors::deserialize(&one)?, SafeTensors::deserialize(&other)?);
    let differ = |name: &&str| match (one.tensor(name), other.tensor(name)) {
        (Ok(one), Ok(other)) => one.data() != other.data(),
        _ => true,
    };
    Ok(one.names().into_iter().filter(differ).map(str::to_string).collect())
}
