//! Which engine carries the sums of a generation: every rank says through the store what it is and what it was asked
//! for, and all decide the same from what all have said. `trainer::connecting` calls it once a generation.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use common::ids::{Rank, WorldSize};
use serde::{Deserialize, Serialize};
use tch::Device;

use super::store::wait_for;
use super::{AbortHandle, CollectiveError, KeyValueStore};
use crate::bridge::cuda;
use crate::machine::hardware;

/// `--collective`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum CollectiveChoice {
    /// NCCL where every worker has a GPU of its own, else Gloo.
    Auto,
    /// NCCL, or an error that says why not.
    Nccl,
    /// Gloo; GPUs exchange through the CPU's memory.
    Gloo,
}

/// What a worker was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectiveOptions {
    /// The engine.
    pub choice: CollectiveChoice,
    /// NCCL's file, where it was named.
    pub library: Option<PathBuf>,
}

/// What a rank says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// What it was asked for.
    pub choice: CollectiveChoice,
    /// Its GPU, the same for every process that computes on it and for no other; none on a CPU.
    pub gpu: Option<String>,
    /// The version of its NCCL, or why it has none.
    pub nccl: Result<String, String>,
    /// Whether it records its exchanges (`--cuda-graph on`): NCCL wants that of every rank or of none.
    pub records: bool,
}

/// The engine of a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// NCCL.
    Nccl,
    /// Gloo, and why not NCCL.
    Gloo(String),
}

/// A name for the device of this process, as [`Statement::gpu`] needs it.
pub fn name_of(device: Device) -> Option<String> {
    let Device::Cuda(number) = device else { return None };
    let address = cuda::address_of(number).unwrap_or_else(|| format!("number {number}"));
    Some(format!("{} {address}", hardware::machine()))
}

impl Statement {
    /// Whether it decides alone that NCCL is not used, so that its rank need not hear the others.
    pub fn rules_nccl_out(&self) -> bool {
        self.choice != CollectiveChoice::Nccl && obstacle_at(self).is_some()
    }
}

/// The engine, from what every rank says, in rank order.
///
/// # Errors
/// A rank insists on NCCL and that cannot be, or some record and some do not: why.
pub fn decide(statements: &[Statement]) -> Result<Decision, String> {
    let Some(obstacle) = obstacle(statements) else {
        return require_same_recording(statements).map(|()| Decision::Nccl);
    };
    let insisting = statements.iter().position(|said| said.choice == CollectiveChoice::Nccl);
    match insisting {
        None => Ok(Decision::Gloo(obstacle)),
        Some(rank) => Err(format!(
            "rank {rank} was started with --collective nccl, and that cannot be: {obstacle}; give every worker a GPU of \
             its own and the same NCCL, or start all with --collective gloo"
        )),
    }
}

fn require_same_recording(statements: &[Statement]) -> Result<(), String> {
    let rank_that = |records| statements.iter().position(|said| said.records == records);
    let (Some(with), Some(without)) = (rank_that(true), rank_that(false)) else { return Ok(()) };
    Err(format!(
        "rank {with} was started with --cuda-graph on and rank {without} was not: NCCL wants an exchange recorded on \
         every rank or on none; start all workers with --cuda-graph on, or all without"
    ))
}

fn obstacle(statements: &[Statement]) -> Option<String> {
    for (rank, said) in statements.iter().enumerate() {
        if let Some(problem) = obstacle_at(said) {
            return Some(format!("rank {rank} {problem}"));
        }
    }
    for (rank, said) in statements.iter().enumerate() {
        for (earlier, other) in statements[..rank].iter().enumerate() {
            if said.gpu == other.gpu {
                return Some(format!("ranks {earlier} and {rank} share a GPU"));
            }
            if let (Ok(version), Ok(other)) = (&said.nccl, &other.nccl)
                && version != other
            {
                return Some(format!(
                    "rank {earlier} has NCCL {other} and rank {rank} has {version}"
                ));
            }
        }
    }
    None
}

/// What speaks against NCCL at one rank alone.
fn obstacle_at(said: &Statement) -> Option<String> {
    match (said.choice, &said.gpu, &said.nccl) {
        (CollectiveChoice::Gloo, _, _) => Some("was started with --collective gloo".to_string()),
        (_, None, _) => Some("computes on a CPU".to_string()),
        (_, _, Err(problem)) => Some(format!("has no NCCL: {problem}")),
        (_, Some(_), Ok(_)) => None,
    }
}

/// Tells the others, hears them, and decides. Blocks, at most `timeout`.
///
/// # Errors
/// A rank is missing, the store fails, the abort, or [`CollectiveError::Refused`].
pub fn agree(
    store: &dyn KeyValueStore,
    (rank, world_size): (Rank, WorldSize),
    own: &Statement,
    (timeout, abort): (Duration, &AbortHandle),
) -> Result<Decision, CollectiveError> {
    let failed = |reason| CollectiveError::Connect { world_size: world_size.0, reason };
    let key = |rank: Rank| format!("collective/{rank}");
    let text = serde_json::to_vec(own).map_err(|error| failed(error.to_string()))?;
    store.set(&key(rank), text).map_err(|error| failed(error.to_string()))?;
    if own.rules_nccl_out() {
        let reason = obstacle_at(own).unwrap_or_default();
        return Ok(Decision::Gloo(format!("rank {rank} {reason}")));
    }
    let keys: Vec<String> = world_size.ranks().map(key).collect();
    let said =
        wait_for(store, &keys, timeout, abort)?.map_err(|error| failed(error.to_string()))?;
    let said = said.iter().map(|text| serde_json::from_slice(text)).collect::<Result<Vec<_>, _>>();
    let said = said.map_err(|error| failed(format!("what a rank says of itself: {error}")))?;
    decide(&said).map_err(CollectiveError::Refused)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::collective::MemoryStore;

    fn said(choice: CollectiveChoice, gpu: &str, nccl: &str) -> Statement {
        let (gpu, nccl) = (Some(gpu.to_string()), Ok(nccl.to_string()));
        Statement { choice, gpu, nccl, records: false }
    }

    fn auto(gpu: &str) -> Statement {
        said(CollectiveChoice::Auto, gpu, "2.28.9")
    }

    #[test]
    fn nccl_is_for_workers_with_a_gpu_each() {
        let insisting = said(CollectiveChoice::Nccl, "b", "2.28.9");
        assert_eq!(decide(&[auto("a"), auto("b")]), Ok(Decision::Nccl));
        assert_eq!(decide(&[auto("a"), insisting]), Ok(Decision::Nccl));
        let on_cpu = Statement { gpu: None, ..auto("a") };
        let without = Statement { nccl: Err("no file".into()), ..auto("b") };
        let older = said(CollectiveChoice::Auto, "b", "2.27.3");
        let unwilling = said(CollectiveChoice::Gloo, "b", "2.28.9");
        for (second, expected) in [
            (auto("a"), "ranks 0 and 1 share a GPU"),
            (on_cpu, "rank 1 computes on a CPU"),
            (without, "rank 1 has no NCCL: no file"),
            (older, "rank 0 has NCCL 2.28.9 and rank 1 has 2.27.3"),
            (unwilling, "rank 1 was started with --collective gloo"),
        ] {
            let gloo = Ok(Decision::Gloo(expected.to_string()));
            assert_eq!(decide(&[auto("a"), second.clone()]), gloo);
            let insisting = Statement { choice: CollectiveChoice::Nccl, ..auto("a") };
            let error = decide(&[insisting, second]).unwrap_err();
            assert!(error.starts_with("rank 0 was started with --collective nccl"), "{error}");
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn all_record_or_none() {
        let records = |said| Statement { records: true, ..said };
        let all = [records(auto("a")), records(auto("b"))];
        assert_eq!(decide(&all), Ok(Decision::Nccl));
        let error = decide(&[auto("a"), auto("b"), records(auto("c"))]).unwrap_err();
        assert!(
            error.contains("rank 2 was started with --cuda-graph on and rank 0 was not"),
            "{error}"
        );
        // Gloo's exchanges are not recorded, whoever asks for it.
        let gloo = Decision::Gloo("ranks 0 and 1 share a GPU".to_string());
        assert_eq!(decide(&[auto("a"), records(auto("a"))]), Ok(gloo));
    }

    #[test]
    fn every_rank_decides_the_same() {
        let check = |statements: Vec<Statement>| {
            let store = Arc::new(MemoryStore::default());
            let world = WorldSize(statements.len() as u32);
            let ranks = statements.into_iter().zip(world.ranks()).map(|(own, rank)| {
                let store = Arc::clone(&store);
                let patience = Duration::from_secs(10);
                std::thread::spawn(move || {
                    agree(&*store, (rank, world), &own, (patience, &AbortHandle::new()))
                })
            });
            let ranks: Vec<_> = ranks.collect();
            ranks.into_iter().map(|rank| rank.join().unwrap().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(check(vec![auto("a"), auto("b"), auto("c")]), vec![Decision::Nccl; 3]);
        let on_cpu = Statement { gpu: None, ..auto("b") };
        let expected = Decision::Gloo("rank 1 computes on a CPU".into());
        assert_eq!(check(vec![auto("a"), on_cpu, auto("c")]), vec![expected; 3]);
    }

    #[test]
    fn a_rank_that_says_nothing_is_missed_in_time_and_an_abort_sooner() {
        let store = MemoryStore::default();
        let world = (Rank(0), WorldSize(2));
        let abort = AbortHandle::new();
        let patience = Duration::from_millis(50);
        let error = agree(&store, world, &auto("a"), (patience, &abort)).unwrap_err();
        assert!(error.to_string().contains("nobody has set collective/1 within 50ms"), "{error}");
        let aborting = abort.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            aborting.abort("enough");
        });
        let patience = Duration::from_secs(60);
        let error = agree(&store, world, &auto("a"), (patience, &abort)).unwrap_err();
        assert_eq!(error, CollectiveError::Aborted { reason: "enough".into() });
    }
}
