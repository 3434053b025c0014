//! `coordinator replay`: computes a stretch of a run again, on this machine, and says from which step on which tensor
//! differs from what the run has left.
//!
//! - [`plan`]: what is asked for;
//! - [`stretch`]: what the run has left of it; [`start`]: what it begins with;
//! - [`findings`]: what differs.
//!
//! The run is only read. Nothing here computes: the stretch is a run of this very program's
//! ([`child_run`](super::child_run)) with the run's settings, which ends when it has got far enough.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use common::config::Config;

use super::child_run::{Interrupted, Request};
use super::folder::Folder;
use super::verdict::Verdict;
use crate::data::DataIdentity;
use crate::interrupts;

pub mod findings;
pub mod plan;
pub mod start;
pub mod stretch;

pub use plan::ReplayPlan;

use stretch::Stretch;

/// The stretch's name in its folder.
const NAME: &str = "run";

/// Computes the stretch and compares it.
///
/// # Errors
/// There is no such run or stretch, or what is computed fails, with its log's path.
pub async fn command(plan: &ReplayPlan) -> Result<Verdict> {
    let mut interrupts = interrupts::listen().context("listening for signals")?;
    let stretch = Stretch::of(plan)?;
    let folder = Folder::new(plan.keep.as_deref(), "replay")?;
    let request = request(&stretch, plan, folder.path())?;
    let Stretch { start, end, .. } = &stretch;
    eprintln!("computing steps {} to {end} again, from {start}", start.steps);
    let root = request.root();
    let computed = request.run(&mut interrupts, stretch.is_computed(&root)).await;
    let compared = match computed {
        // A run that diverged does so again; all that it recorded before can be compared.
        Err(error) if error.is::<Interrupted>() || !stretch.is_far_enough(&root) => Err(error),
        _ => require_same_data(&plan.run_dir, &root)
            .and_then(|()| stretch.compare(&plan.run_dir, &root)),
    };
    let findings = match compared {
        Ok(findings) => findings,
        Err(error) => {
            if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
                return Ok(Verdict::of_an_interrupt(*interrupted));
            }
            folder.keep();
            return Err(error);
        }
    };
    let mut text = findings.sentence();
    if !findings.are_equal() {
        let kept = folder.keep().join(NAME);
        text.push_str(&format!("\nWhat was computed again is in {}", kept.display()));
    }
    Ok(Verdict::new(text, findings.are_equal()))
}

/// A run with the run's settings, but for who computes it and where.
fn request(stretch: &Stretch, plan: &ReplayPlan, folder: &Path) -> Result<Request> {
    let root = folder.join(NAME);
    let config = Config {
        run_dir: Some(root.clone()),
        workers: plan.workers,
        min_workers: None,
        max_workers: None,
        spawn: true,
        listen: "127.0.0.1:0".to_string(),
        // What this machine computes otherwise is to be found, not refused.
        allow_mixed_hardware: true,
        keep: 0,
        log_every: stretch.interval(),
        ..stretch.config.clone()
    };
    stretch.start.prepare(&plan.run_dir, &root, &config)?;
    Ok(Request {
        name: NAME.to_string(),
        config,
        folder: folder.to_path_buf(),
        resumes: stretch.start.checkpoint.is_some(),
        limit: None,
    })
}

/// A stretch from a checkpoint is refused by the run itself where the data are others.
fn require_same_data(run: &Path, again: &Path) -> Result<()> {
    let (then, now) = (DataIdentity::read(run)?, DataIdentity::read(again)?);
    ensure!(
        then.has_samples_of(&now),
        "the samples are not those of the run: {then} then, {now} now; put the same data where its settings look for them"
    );
    Ok(())
}
