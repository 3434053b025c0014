//! `coordinator status`: asks a running coordinator and prints a table, or JSON.

use anyhow::{Context, Result};
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use common::metrics::{EpochMetrics, StepMetrics};
use proto::{StatusReply, StatusRequest, WorkerStatus};
use serde::Serialize;

use super::running_coordinator::StatusPlan;
use crate::run::progress::{duration, losses};

/// Asks, and returns what is to be printed.
///
/// # Errors
/// Nobody answers at that address.
pub async fn status(plan: &StatusPlan) -> Result<String> {
    let reply = plan.coordinator.connect().await?.get_status(StatusRequest {}).await;
    let asking = || format!("asking {} for its status", plan.coordinator.address());
    let reply = reply.with_context(asking)?.into_inner();
    if plan.json {
        Ok(serde_json::to_string_pretty(&Report::from(reply))?)
    } else {
        Ok(table(&reply))
    }
}

fn table(status: &StatusReply) -> String {
    let mut lines = vec![
        format!("{}: {}", status.phase, status.phase_reason),
        format!(
            "epoch {} of {}, step {} of {}, {:.0} images/s{}",
            status.epoch,
            status.epochs,
            status.step,
            status.total_steps,
            status.images_per_second,
            status
                .eta_seconds
                .map(|seconds| format!(", ETA {}", duration(seconds)))
                .unwrap_or_default(),
        ),
    ];
    if let Some(step) = &status.last_step {
        let losses: Vec<String> =
            losses(step).iter().map(|(name, loss)| format!("{name} {loss:.4}")).collect();
        lines.push(format!("loss {:.4} ({})", step.loss, losses.join(" + ")));
    }
    if let Some(test) = status.last_epoch.as_ref().and_then(|epoch| epoch.test.as_ref()) {
        lines.push(format!("test accuracy {:.2} %", 100.0 * test.accuracy));
    }
    lines.push(format!(
        "{} in {}, up for {}",
        status.dataset,
        status.run_directory,
        duration(status.uptime_seconds)
    ));
    if status.generation > 1 || status.losses > 0 {
        lines.push(format!(
            "generation {}, {} of at most {} losses survived",
            status.generation, status.losses, status.max_generations
        ));
    }
    if status.fruitless > 0 {
        lines.push(format!("{} generations in a row have made no step", status.fruitless));
    }
    for worker in status.workers.iter().filter(|worker| !worker.set_aside.is_empty()) {
        lines.push(format!("worker {} is set aside: {}", worker.slot, worker.set_aside));
    }
    if !status.last_checkpoint.is_empty() {
        lines.push(format!("last checkpoint {}", status.last_checkpoint));
    }
    lines.push(workers_table(&status.workers).to_string());
    lines.join("\n")
}

fn workers_table(workers: &[WorkerStatus]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        "slot",
        "rank",
        "host",
        "device",
        "phase",
        "step",
        "memory",
        "collectives",
        "heard",
    ]);
    for worker in workers {
        table.add_row([
            worker.slot.to_string(),
            worker.rank.map_or("–".to_string(), |rank| rank.to_string()),
            format!("{} ({})", worker.host, worker.process_id),
            worker.device.clone(),
            worker.phase.clone(),
            worker.step.to_string(),
            format!("{} MB", worker.memory_bytes / 1_000_000),
            format!("{:.0} %", 100.0 * worker.collective_share),
            format!("{:.1} s ago", worker.seconds_since_heartbeat),
        ]);
    }
    table
}

/// The status as JSON shows it.
#[derive(Serialize)]
struct Report {
    run: String,
    run_directory: String,
    phase: String,
    phase_reason: String,
    generation: u64,
    losses: u64,
    max_generations: u64,
    fruitless: u64,
    workers_expected: u32,
    epoch: u64,
    epochs: u64,
    step: u64,
    total_steps: u64,
    images_per_second: f64,
    eta_seconds: Option<f64>,
    uptime_seconds: f64,
    dataset: String,
    last_checkpoint: Option<String>,
    last_step: Option<StepMetrics>,
    last_epoch: Option<EpochMetrics>,
    workers: Vec<WorkerReport>,
}

#[derive(Serialize)]
struct WorkerReport {
    slot: u32,
    rank: Option<u32>,
    host: String,
    process_id: u32,
    device: String,
    hardware: String,
    phase: String,
    step: u64,
    memory_bytes: u64,
    collective_share: f64,
    seconds_since_heartbeat: f64,
    set_aside: Option<String>,
}

impl From<StatusReply> for Report {
    fn from(status: StatusReply) -> Self {
        Self {
            run: status.run,
            run_directory: status.run_directory,
            phase: status.phase,
            phase_reason: status.phase_reason,
            generation: status.generation,
            losses: status.losses,
            max_generations: status.max_generations,
            fruitless: status.fruitless,
            workers_expected: status.workers_expected,
            epoch: status.epoch,
            epochs: status.epochs,
            step: status.step,
            total_steps: status.total_steps,
            images_per_second: status.images_per_second,
            eta_seconds: status.eta_seconds,
            uptime_seconds: status.uptime_seconds,
            dataset: status.dataset,
            last_checkpoint: Some(status.last_checkpoint).filter(|path| !path.is_empty()),
            last_step: status.last_step.map(Into::into),
            last_epoch: status.last_epoch.map(Into::into),
            workers: status.workers.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<WorkerStatus> for WorkerReport {
    fn from(worker: WorkerStatus) -> Self {
        Self {
            slot: worker.slot,
            rank: worker.rank,
            host: worker.host,
            process_id: worker.process_id,
            device: worker.device,
            hardware: worker.hardware,
            phase: worker.phase,
            step: worker.step,
            memory_bytes: worker.memory_bytes,
            collective_share: worker.collective_share,
            seconds_since_heartbeat: worker.seconds_since_heartbeat,
            set_aside: Some(worker.set_aside).filter(|reason| !reason.is_empty()),
        }
    }
}
