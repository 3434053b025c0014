//! Workers that are killed while a run is verified: who and when, drawn from a seed, and the killing itself.
//!
//! The run's coordinator starts another in place of each. `run` lets this go on beside a run and drops it with it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use common::access::{Access, Line};
use common::ids::Slot;
use nix::sys::signal::{Signal, kill};
use proto::coordinator_client::CoordinatorClient;
use proto::{StatusReply, StatusRequest};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use tokio::time::sleep;

use crate::commands::running_coordinator::RunningCoordinator;
use crate::run::spawn::living_worker;
use crate::run_directory::{EVENTS, events_log, ledger};

/// Between two looks at how far the run is.
const POLL: Duration = Duration::from_millis(10);

/// The end of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kill {
    /// Not before so many steps are done.
    pub step: u64,
    /// Whose worker.
    pub slot: Slot,
}

/// Draws `count` kills for a run of `steps` steps, in the order of their steps. The last tenth of the run is left out:
/// it could be over before they come.
pub fn draw(random: &mut ChaCha8Rng, count: u32, steps: u64, workers: u32) -> Vec<Kill> {
    let latest = (steps - steps.div_ceil(10)).max(1);
    // The bias of a remainder is below 2⁻³²; nothing rests on it here.
    let mut below = |bound: u64| random.next_u64() % bound;
    let mut kills: Vec<Kill> = (0..count)
        .map(|_| Kill { step: 1 + below(latest), slot: Slot(below(workers.into()) as u32) })
        .collect();
    kills.sort();
    kills
}

/// Kills one after the other, each as soon as it is due and its worker has joined. Counts in `done`. Whatever fails is
/// tried again: the end of the run ends it.
pub async fn carry_out(kills: &[Kill], root: &Path, done: &mut usize) {
    if kills.is_empty() {
        return;
    }
    let mut client = find_coordinator(root).await;
    let mut killed = BTreeSet::new();
    for kill in kills {
        while !attempt(*kill, &mut client, &mut killed).await {
            sleep(POLL).await;
        }
        *done += 1;
    }
}

async fn find_coordinator(root: &Path) -> CoordinatorClient<Line> {
    loop {
        let lines = events_log::read(&root.join(EVENTS)).unwrap_or_default();
        if let Some(address) = ledger::summarise(&lines).coordinator.map(|last| last.address)
            && let Ok(client) = run_at(&address).connect().await
        {
            return client;
        }
        sleep(POLL).await;
    }
}

/// A run of this machine's own, which lets everybody on it in.
fn run_at(address: &str) -> RunningCoordinator {
    RunningCoordinator { url: Some(format!("http://{address}")), access: Access::default() }
}

/// Kills, if it is time. A process that was killed may still be listed, so none is killed twice.
async fn attempt(
    due: Kill,
    client: &mut CoordinatorClient<Line>,
    killed: &mut BTreeSet<u32>,
) -> bool {
    let Ok(reply) = client.get_status(StatusRequest {}).await else {
        return false;
    };
    let Some(process) = victim(due, &reply.into_inner()).filter(|it| !killed.contains(it)) else {
        return false;
    };
    let Some(pid) = living_worker(due.slot, process) else {
        return false;
    };
    kill(pid, Signal::SIGKILL).is_ok() && killed.insert(process)
}

/// The process to kill, once the run is far enough.
fn victim(due: Kill, status: &StatusReply) -> Option<u32> {
    let worker = status.workers.iter().find(|worker| worker.slot == due.slot.0)?;
    (status.step >= due.step).then_some(worker.process_id)
}

#[cfg(test)]
mod tests {
    use proto::WorkerStatus;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn a_seed_draws_the_same_again() {
        let drawn = |seed| draw(&mut ChaCha8Rng::seed_from_u64(seed), 30, 20, 3);
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        assert!(drawn(7).is_sorted());
        let steps: BTreeSet<u64> = drawn(7).iter().map(|kill| kill.step).collect();
        assert!(steps.iter().all(|step| (1..=18).contains(step)), "{steps:?}");
        let slots: BTreeSet<Slot> = drawn(7).iter().map(|kill| kill.slot).collect();
        assert_eq!(slots, BTreeSet::from([Slot(0), Slot(1), Slot(2)]));
    }

    #[test]
    fn the_shortest_run_has_moments_too() {
        let kills = draw(&mut ChaCha8Rng::seed_from_u64(0), 2, 1, 2);
        assert!(kills.iter().all(|kill| kill.step == 1), "{kills:?}");
    }

    #[test]
    fn nobody_is_killed_early_or_in_anothers_place() {
        let worker = WorkerStatus { slot: 2, process_id: 77, ..WorkerStatus::default() };
        let status = StatusReply { step: 5, workers: vec![worker], ..StatusReply::default() };
        let check = |step, slot, expected| {
            assert_eq!(victim(Kill { step, slot: Slot(slot) }, &status), expected);
        };
        check(5, 2, Some(77));
        check(4, 2, Some(77));
        check(6, 2, None);
        check(5, 1, None);
    }
}
