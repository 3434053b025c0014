//! The kill matrix: each rank at each step in each phase, killed or hung. The files must be those of the undisturbed run.
//!
//! A fixed tenth of it runs with the other tests; `CONCENTRIC_CHAOS=all` (`make chaos`) runs all.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use worker::fault::PHASES;

use crate::harness::{Launch, Results, data};

const WORKERS: u32 = 4;
/// Three an epoch, so that an epoch ends within.
const STEPS: u64 = 6;
const FOLDERS: [&str; 3] = ["checkpoints", "features", "pictures"];

/// Six steps over an epoch's end, in small batches.
fn launch(root: &Path) -> Launch {
    Launch::new(root)
        .with(&["--dataset", data::mnist(), "--train-samples", "24", "--test-samples", "16"])
        .with(&["--batch-size", "8", "--test-batch-size", "8", "--epochs", "2"])
        .with(&["--log-every", "1", "--checkpoint-every", "2", "--logical-shards", "4"])
        .with(&["--threads", "1", "--heartbeat-interval", "0.2", "--heartbeat-timeout", "0.8"])
        .workers(WORKERS)
}

/// One case: who is hit when and how, and whether the others wait for a replacement.
#[derive(Clone, Copy, Debug)]
struct Case {
    rank: u32,
    step: u64,
    phase: &'static str,
    action: &'static str,
    least: u32,
}

/// Every rank at every step in every phase; and of each tenth one that hangs instead of ending.
fn matrix() -> Vec<Case> {
    let mut cases = Vec::new();
    for rank in 0..WORKERS {
        for step in 0..STEPS {
            for (phase, _) in PHASES {
                // Only the first rank sends and draws.
                if rank > 0 && matches!(phase, "upload" | "picture") {
                    continue;
                }
                let least = if cases.len() % 2 == 0 { WORKERS } else { 1 };
                let action = if cases.len() % 10 == 9 { "hang" } else { "kill" };
                cases.push(Case { rank, step, phase, action, least });
            }
        }
    }
    cases
}

/// Those that run: all, or a tenth that meets every rank, step and phase.
fn chosen() -> Vec<Case> {
    let all = matrix();
    if std::env::var_os("CONCENTRIC_CHAOS").is_some_and(|value| value == "all") {
        return all;
    }
    // 7 and the number of phases have no common divisor.
    all.into_iter().skip(3).step_by(11).collect()
}

#[test]
fn whoever_dies_wherever_the_files_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let undisturbed = launch(&folder.path().join("undisturbed")).complete().hashes(&FOLDERS);
    let cases = chosen();
    let (next, hit) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            if took_place(folder.path(), case, &undisturbed) {
                hit.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    // Two at a time: much of each is waiting for what does not come.
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    let hit = hit.into_inner();
    eprintln!("{hit} of {} planned faults took place", cases.len());
    // A bucket is not under way in every step, nor is a picture drawn in each.
    assert!(hit * 3 > cases.len(), "only {hit} of {} planned faults took place", cases.len());
}

/// Trains with this fault, and compares. Whether there was an occasion for it.
fn took_place(folder: &Path, case: &Case, undisturbed: &BTreeMap<String, String>) -> bool {
    let Case { rank, step, phase, action, least } = case;
    let plan = format!("generation=1,rank={rank},step={step},phase={phase},action={action}");
    let root = folder.join(&plan);
    let run = launch(&root).with(&["--min-workers", &least.to_string()]).with_fault(&plan);
    let results: Results = run.beside_another().complete();
    assert_eq!(results.hashes(&FOLDERS), *undisturbed, "{case:?}");
    let log = std::fs::read_to_string(root.join(format!("logs/worker-{rank}.log"))).unwrap();
    std::fs::remove_dir_all(&root).unwrap();
    log.contains("a planned fault")
}
