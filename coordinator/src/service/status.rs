//! What `coordinator status`, the progress display and the summary show.

use common::config::schedule;
use common::ids::Step;
use common::plan;
use proto::{StatusReply, WorkerStatus};

use super::shared::Shared;
use crate::cluster::membership::MemberView;

/// The run as it is now.
pub fn status(shared: &Shared) -> StatusReply {
    let view = shared.cluster.view();
    let record = shared.board.read();
    let config = &shared.config;
    let train_samples = shared.data.train_samples as usize;
    let total_steps = schedule::total_steps(config, train_samples);
    let reports = || view.members.iter().map(|member| &member.report);
    // Metrics and heartbeats travel apart: whichever is newer counts.
    let reported = record.last_step.as_ref().map_or(0, |step| step.step.0 + 1);
    let heard = reports().map(|report| report.step).max().unwrap_or_default();
    let step = heard.max(reported).max(record.first_step);
    let epoch =
        reports().map(|report| report.epoch).max().unwrap_or_default().max(record.first_epoch);
    let measured = record.last_step.as_ref().map(|step| step.images_per_second);
    let claimed = reports().map(|report| report.images_per_second).fold(0.0, f64::max);
    let images_per_second = measured.filter(|rate| *rate > 0.0).unwrap_or(claimed);
    let images_left = images_until(config, train_samples, total_steps)
        - images_until(config, train_samples, step.min(total_steps));
    let is_training = view.phase == "training" && images_per_second > 0.0;
    StatusReply {
        run: shared.run.clone(),
        run_directory: shared.directory.root().display().to_string(),
        phase: view.phase.to_string(),
        phase_reason: view.reason,
        generation: view.generation.0,
        workers_expected: view.wanted,
        epoch,
        epochs: config.epochs,
        step,
        total_steps,
        images_per_second,
        last_step: record.last_step.as_ref().map(Into::into),
        last_epoch: record.last_epoch.as_ref().map(Into::into),
        workers: view.members.iter().map(worker).collect(),
        last_checkpoint: record.last_checkpoint.unwrap_or_default(),
        dataset: shared.data.dataset.clone(),
        uptime_seconds: shared.cluster.uptime().as_secs_f64(),
        eta_seconds: is_training.then(|| images_left as f64 / images_per_second),
        losses: view.losses,
        max_generations: config.max_generations,
        fruitless: view.fruitless,
    }
}

/// Training samples that the first `steps` steps of the run consume.
fn images_until(config: &common::config::Config, samples: usize, steps: u64) -> u64 {
    let batch_size = config.batch_size as usize;
    let per_epoch = plan::steps_per_epoch(samples, batch_size).max(1);
    let within = plan::batch(samples, batch_size, Step(steps % per_epoch)).start;
    steps / per_epoch * samples as u64 + within as u64
}

fn worker(member: &MemberView) -> WorkerStatus {
    WorkerStatus {
        slot: member.slot.0,
        rank: member.rank.map(|rank| rank.0),
        host: member.identity.host.clone(),
        device: member.identity.device.clone(),
        hardware: member.identity.computing.hardware.clone(),
        phase: member.report.phase.clone(),
        step: member.report.step,
        memory_bytes: member.report.memory_bytes,
        collective_share: member.report.collective_share,
        seconds_since_heartbeat: member.silence.as_secs_f64(),
        process_id: member.identity.process_id,
        set_aside: member.aside.clone().unwrap_or_default(),
    }
}
