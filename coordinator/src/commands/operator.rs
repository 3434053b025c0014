//! `coordinator scale` and `coordinator drain`: ask a running coordinator, and print what follows.

use anyhow::{Result, anyhow};
use proto::{DrainRequest, ScaleRequest};
use tonic::Status;

use super::running_coordinator::{DrainPlan, ScalePlan};

/// Asks for another number of workers.
///
/// # Errors
/// Nobody answers at that address, or the run cannot have so many.
pub async fn scale(plan: &ScalePlan) -> Result<String> {
    let request = ScaleRequest { workers: plan.workers };
    let reply = plan.coordinator.connect().await?.scale(request).await;
    Ok(reply.map_err(|status| refused(&status))?.into_inner().message)
}

/// Asks to let a worker go.
///
/// # Errors
/// Nobody answers at that address, or there is no such worker.
pub async fn drain(plan: &DrainPlan) -> Result<String> {
    let request = DrainRequest { slot: plan.rank };
    let reply = plan.coordinator.connect().await?.drain(request).await;
    Ok(reply.map_err(|status| refused(&status))?.into_inner().message)
}

fn refused(status: &Status) -> anyhow::Error {
    anyhow!("{}", status.message())
}
