//! From one stay to the next: joins, obeys, and joins anew when the connection is lost or the run went on without this
//! worker. `main` calls it, once.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use backon::{BackoffBuilder, ExponentialBuilder};
use common::ids::Slot;
use common::status::ServiceError;
use proto::HeldState;

use super::joining;
use super::kept::Kept;
use super::proofs::Proofs;
use super::signals::Signals;
use super::stay::{End, Stay};
use crate::args::WorkerArgs;

/// Joins the coordinator and works until the run ends.
///
/// # Errors
/// Why the run did not end well, in words for the user.
pub async fn run(args: &WorkerArgs) -> anyhow::Result<()> {
    let signals = Signals::listen().context("listening for signals")?;
    let (mut kept, mut proofs) = (None, Proofs::default());
    let mut next = first_stay((args, &signals), &mut proofs).await?;
    while let Some(stay) = next {
        let slot = stay.slot();
        let reason = match stay.obey(&mut kept, &signals).await {
            End::Done => return Ok(()),
            End::Failed(error) => return Err(error),
            End::Lost(reason) => format!("the coordinator was lost: {reason}"),
            // What it holds may be the newest state all the same: the coordinator is told of it, and knows.
            End::Evicted(reason) => format!("the run goes on without this worker: {reason}"),
        };
        tracing::warn!("{reason}; joining anew");
        let known = &mut proofs;
        next = next_stay((args, &signals), known, (slot, kept.as_ref()), &reason).await?;
    }
    tracing::info!("the run is complete: there is nothing left to do");
    Ok(())
}

/// None where the run is complete.
async fn first_stay(
    (args, signals): (&WorkerArgs, &Signals),
    proofs: &mut Proofs,
) -> anyhow::Result<Option<Stay>> {
    let refused = |error| anyhow!("{error}").context("the coordinator refused this worker");
    let mut told = false;
    let limit = args.connect_timeout;
    let found = join_within((args, signals), proofs, (args.slot, None), limit, |error| {
        if !std::mem::replace(&mut told, true) {
            tracing::info!("waiting for the coordinator at {}: {error}", args.coordinator_in_words);
        }
    });
    match found.await {
        Ok(stay) => Ok(Some(stay)),
        Err(ServiceError::Complete(_)) => Ok(None),
        Err(error @ ServiceError::Unreachable(_)) => bail!(
            "no coordinator at {} within {limit:?} ({error}); start it, or give its address with --coordinator",
            args.coordinator_in_words,
        ),
        // The coordinator ends, this worker was told to, cannot listen where it should, or cannot compute.
        Err(error @ (ServiceError::Ending(_) | ServiceError::NotFound(_))) => bail!("{error}"),
        Err(error) => Err(refused(error)),
    }
}

/// Joins after a stay in `slot` that ended for `reason`; none where the run is complete. A slot that was given may be
/// another's by now.
async fn next_stay(
    (args, signals): (&WorkerArgs, &Signals),
    proofs: &mut Proofs,
    (slot, kept): (Slot, Option<&Kept>),
    reason: &str,
) -> anyhow::Result<Option<Stay>> {
    let limit = args.coordinator_timeout;
    let held = || kept.map(Kept::describe);
    let not_yet = |error: &ServiceError| tracing::debug!(%error, "not yet");
    let mut found =
        join_within((args, signals), proofs, (Some(slot), held()), limit, not_yet).await;
    if let (Err(error @ ServiceError::SlotTaken(_)), None) = (&found, args.slot) {
        tracing::info!("{error}; asking for another slot");
        found = join_within((args, signals), proofs, (None, held()), limit, not_yet).await;
    }
    match found {
        Ok(stay) => Ok(Some(stay)),
        Err(ServiceError::Complete(_)) => Ok(None),
        Err(error @ ServiceError::Unreachable(_)) => bail!(
            "{reason}; no coordinator came back at {} within {limit:?} ({error})",
            args.coordinator_in_words
        ),
        Err(error @ (ServiceError::Ending(_) | ServiceError::NotFound(_))) => {
            bail!("{reason}; {error}")
        }
        Err(error) => bail!("{reason}; the coordinator does not take this worker back: {error}"),
    }
}

/// Tries to join until it works, is refused, or `limit` is over. A signal ends it at once, whoever is being waited for.
async fn join_within(
    (args, signals): (&WorkerArgs, &Signals),
    proofs: &mut Proofs,
    asked: (Option<Slot>, Option<HeldState>),
    limit: Duration,
    missed: impl FnMut(&ServiceError),
) -> Result<Stay, ServiceError> {
    tokio::select! {
        biased;
        signal = signals.reach(1) => {
            Err(ServiceError::Ending(format!("{signal} while looking for the coordinator")))
        }
        found = try_to_join(args, proofs, asked, limit, missed) => found,
    }
}

async fn try_to_join(
    args: &WorkerArgs,
    proofs: &mut Proofs,
    (slot, held): (Option<Slot>, Option<HeldState>),
    limit: Duration,
    mut missed: impl FnMut(&ServiceError),
) -> Result<Stay, ServiceError> {
    let deadline = Instant::now() + limit;
    let mut waits = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_millis(500))
        .without_max_times()
        .with_jitter()
        .build();
    loop {
        match joining::join(args, proofs, slot, held.clone()).await.map(Stay::begin) {
            Err(error @ ServiceError::Unreachable(_)) if Instant::now() < deadline => {
                missed(&error)
            }
            result => return result,
        }
        tokio::time::sleep(waits.next().unwrap_or(Duration::from_millis(500))).await;
    }
}
