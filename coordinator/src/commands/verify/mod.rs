//! `coordinator verify`: proves on this machine, with the user's data and settings, that the result does not depend on
//! the workers.
//!
//! - [`plan`]: what is asked for, and the settings of the runs;
//! - [`kills`]: workers that are killed on its way;
//! - [`compare`]: how far the checkpoints of two runs are apart;
//! - [`report`]: the table and the sentence.
//!
//! Nothing here computes: every run is this very program's, as the user would start it
//! ([`child_run`](super::child_run)).

use std::future::pending;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use common::config::{Precision, schedule};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::sync::mpsc;

use super::child_run::Request;
use super::folder::Folder;
use super::verdict::Verdict;
use crate::data::DataIdentity;
use crate::interrupts::{self, Interrupt};

pub mod compare;
pub mod kills;
pub mod plan;
pub mod report;

pub use plan::{VerifyArgs, VerifyPlan};

use kills::Kill;
use report::Row;

/// A run that takes longer is given up.
const LONGEST: Duration = Duration::from_secs(3600);

/// Makes the runs and compares them.
///
/// # Errors
/// A run that failed, with its log's path; or files that cannot be read or written.
pub async fn command(plan: &VerifyPlan) -> Result<Verdict> {
    let mut interrupts = interrupts::listen().context("listening for signals")?;
    let folder = Folder::new(plan.keep.as_deref(), "verify")?;
    let rows = match make_runs(plan, folder.path(), &mut interrupts).await {
        Ok(rows) => rows,
        Err(error) => {
            return match error.downcast_ref() {
                Some(interrupted) => Ok(Verdict::of_an_interrupt(*interrupted)),
                None => {
                    folder.keep();
                    Err(error)
                }
            };
        }
    };
    let reduction = plan.shared().reduction;
    let faults = report::faults(&rows, reduction);
    let sentence = report::sentence(&rows, &faults, reduction);
    let mut text = format!("{}\n{sentence}", report::table(&rows));
    if !faults.is_empty() {
        text.push_str(&format!("\nThe runs are in {}", folder.keep().display()));
    }
    Ok(Verdict::new(text, faults.is_empty()))
}

async fn make_runs(
    plan: &VerifyPlan,
    folder: &Path,
    interrupts: &mut mpsc::Receiver<Interrupt>,
) -> Result<Vec<Row>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed(plan));
    let mut rows = Vec::new();
    for precision in [Precision::F64, Precision::F32] {
        let one = request(plan, folder, precision, 1);
        rows.push(make(&one, &[], None, interrupts).await?);
        let several = request(plan, folder, precision, plan.workers);
        let kills = kills::draw(&mut random, plan.kills, steps_of(&one)?, plan.workers);
        rows.push(make(&several, &kills, Some(&one), interrupts).await?);
    }
    Ok(rows)
}

fn seed(plan: &VerifyPlan) -> u64 {
    let seed = plan.seed_of_kills.unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::from(since.subsec_nanos())
    });
    if plan.kills > 0 {
        eprintln!("kills are drawn by --seed-of-kills {seed}");
    }
    seed
}

fn request(plan: &VerifyPlan, folder: &Path, precision: Precision, workers: u32) -> Request {
    let name = format!("{precision}-{workers}");
    let config = plan.config_of(precision, workers, &folder.join(&name));
    Request { name, config, folder: folder.to_path_buf(), resumes: false, limit: Some(LONGEST) }
}

/// Steps that a finished run has done: the data may end before `--steps`.
fn steps_of(request: &Request) -> Result<u64> {
    let samples = DataIdentity::read(&request.root())?.train_samples;
    Ok(schedule::total_steps(&request.config, samples as usize))
}

/// Makes a run, killing workers on its way, and compares it with another.
async fn make(
    request: &Request,
    kills: &[Kill],
    reference: Option<&Request>,
    interrupts: &mut mpsc::Receiver<Interrupt>,
) -> Result<Row> {
    announce(request, kills);
    let (root, mut killed) = (request.root(), 0);
    let killing = async {
        kills::carry_out(kills, &root, &mut killed).await;
        pending::<()>().await;
    };
    let time = request.run(interrupts, killing).await?;
    let comparison =
        reference.map(|reference| compare::compare(&root, &reference.root())).transpose()?;
    Ok(Row {
        precision: request.config.precision,
        workers: request.config.workers,
        kills: killed,
        kills_wanted: kills.len(),
        time,
        comparison,
    })
}

fn announce(request: &Request, kills: &[Kill]) {
    let kill = |Kill { step, slot }: &Kill| format!(", killing worker {slot} after step {step}");
    let kills: String = kills.iter().map(kill).collect();
    let (precision, workers) = (request.config.precision, request.config.workers);
    let workers =
        if workers == 1 { "one worker".to_string() } else { format!("{workers} workers") };
    eprintln!("training in {precision} with {workers}{kills}");
}
