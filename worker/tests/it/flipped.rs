//! Bits that flip: whoever computes something else than the others is found at that step, named and evicted, nothing of it is
//! stored, and the files are those of an undisturbed run.
//!
//! A fixed part of the cases runs with the other tests; `CONCENTRIC_CHAOS=all` (`make chaos`) runs all.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::{Signal, kill};

use crate::harness::results::{Left, check_same};
use crate::harness::{Launch, Results, data};

const WORKERS: u32 = 3;
/// What all ranks have alike, and where a rank can be hit while it has.
const STATE: [&str; 4] = ["parameter", "momentum", "center", "statistic"];
const PHASES: [&str; 6] = ["data", "forward", "backward", "optimizer", "commit", "evaluation"];
/// What a rank adds to the sums, and when it is hit.
const ADDED: [(&str, &str); 3] = [("sum", "sum"), ("sum", "activation"), ("backward", "gradient")];
/// The steps hit: the epoch's last one for what follows it.
const WITHIN: u64 = 1;
const LAST: u64 = 2;

/// Six steps over an epoch's end, in small batches, of as many logical shards as workers.
fn launch(root: &Path) -> Launch {
    Launch::new(root)
        .with(&["--dataset", data::mnist(), "--train-samples", "24", "--test-samples", "16"])
        .with(&["--batch-size", "8", "--test-batch-size", "8", "--epochs", "2"])
        .with(&["--log-every", "1", "--checkpoint-every", "2", "--logical-shards", "3"])
        .with(&["--threads", "1", "--rejoin-timeout", "1"])
}

/// One case.
#[derive(Clone, Debug)]
struct Case {
    rank: u32,
    step: u64,
    phase: &'static str,
    part: &'static str,
    /// The bit, and which number it is of; the layer.
    place: (u32, usize, usize),
}

impl Case {
    fn plan(&self) -> String {
        let Self { rank, step, phase, part, place: (bit, place, layer) } = self;
        format!(
            "generation=1,rank={rank},step={step},phase={phase},action={part},bit={bit},place={place},layer={layer}"
        )
    }
}

/// Every rank, part and phase; some of the bits change much, some little.
fn matrix() -> Vec<Case> {
    let mut cases = Vec::new();
    for rank in 0..WORKERS {
        for (index, phase) in PHASES.into_iter().enumerate() {
            for part in STATE {
                let step = if phase == "evaluation" { LAST } else { WITHIN };
                let bit = [10, 15, 20, 30, 31][cases.len() % 5];
                cases.push(Case { rank, step, phase, part, place: (bit, 1000 + 7 * index, 0) });
            }
        }
        for (phase, part) in ADDED {
            for layer in [0, 3, 5] {
                let bit = [5, 22, 30][layer / 2];
                cases.push(Case { rank, step: WITHIN, phase, part, place: (bit, 17, layer) });
            }
        }
    }
    cases
}

/// Those that run: all, or some that meet every rank, part and phase.
fn chosen() -> Vec<Case> {
    let all = matrix();
    if std::env::var_os("CONCENTRIC_CHAOS").is_some_and(|value| value == "all") {
        return all;
    }
    // 33 cases a rank.
    all.into_iter().step_by(7).collect()
}

#[test]
fn who_computes_something_else_is_found_and_the_files_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let undisturbed = Left::by(|root| launch(root).workers(1));
    let cases = chosen();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            check(folder.path(), case, &undisturbed);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
}

fn check(folder: &Path, case: &Case, undisturbed: &Left) {
    let root = folder.join(case.plan());
    let run = launch(&root)
        .with(&["--cross-check", "1", "--min-workers", "1"])
        .with_fault(&case.plan())
        .workers(WORKERS)
        .beside_another();
    let results = run.complete();
    let causes = losses(&results, case.rank);
    assert!(!causes.is_empty(), "{case:?}: nobody was found");
    assert!(causes[0].contains("computed something else"), "{case:?}: {causes:?}");
    assert!(others(&results, case.rank).is_empty(), "{case:?}: {:?}", others(&results, case.rank));
    undisturbed.check(&results, &case.plan());
    fs::remove_dir_all(&root).unwrap();
}

/// The step that the second generation goes on from, with what its members have.
fn taken_up(results: &Results) -> u64 {
    let ledger = fs::read_to_string(results.path("events.jsonl")).unwrap();
    let mut lines = ledger.lines().map(|line| serde_json::from_str(line).unwrap());
    let begin = |line: &serde_json::Value| line["kind"] == "generation" && line["generation"] == 2;
    let line = lines.find(begin).expect("there was another generation");
    assert_eq!(line["origin"], "member", "{line}");
    line["step"].as_u64().unwrap()
}

/// Why the worker in a slot was lost, each time.
fn losses(results: &Results, rank: u32) -> Vec<String> {
    lost(results)
        .into_iter()
        .filter(|(slot, _)| *slot == u64::from(rank))
        .map(|(_, cause)| cause)
        .collect()
}

/// Who else was lost, and why.
fn others(results: &Results, rank: u32) -> Vec<(u64, String)> {
    lost(results).into_iter().filter(|(slot, _)| *slot != u64::from(rank)).collect()
}

fn lost(results: &Results) -> Vec<(u64, String)> {
    let ledger = fs::read_to_string(results.path("events.jsonl")).unwrap();
    let lines = ledger.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let losses = lines.filter(|line| line["kind"] == "loss");
    let loss = |line: serde_json::Value| {
        Some((line["slot"].as_u64()?, line["cause"].as_str()?.to_string()))
    };
    losses.filter_map(loss).collect()
}

#[test]
fn of_two_workers_the_one_whose_memory_has_changed_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let undisturbed = Left::by(|root| launch(root).workers(1));
    for (name, phase, part, bit) in [
        ("large", "forward", "parameter", 30),
        ("small", "commit", "momentum", 10),
        ("added", "sum", "activation", 27),
    ] {
        let root = folder.path().join(name);
        let plan = format!(
            "generation=1,rank=1,step=1,phase={phase},action={part},bit={bit},place=40,layer=1"
        );
        let results = launch(&root)
            .with(&["--logical-shards", "3", "--cross-check", "1", "--min-workers", "1"])
            .with_fault(&plan)
            .workers(2)
            .beside_another()
            .complete();
        let causes = losses(&results, 1);
        assert!(causes.iter().any(|cause| cause.contains("computed something else")), "{causes:?}");
        undisturbed.check(&results, name);
    }
}

#[test]
fn two_workers_that_disagree_end_the_run_and_it_goes_on_from_what_both_had() {
    let folder = tempfile::tempdir().unwrap();
    let undisturbed = Left::by(|root| launch(root).workers(1));
    let root = folder.path().join("run");
    let plan = "generation=1,rank=1,step=3,phase=commit,action=claim";
    let mut run = launch(&root).with_fault(plan).workers(2).beside_another().start();
    let ending = run.wait();
    assert_eq!(ending.code, Some(1), "{}", ending.printed);
    for expected in
        ["different things in step 3 (epoch 1)", "no majority", "rank 0 has", "rank 1 has"]
    {
        assert!(ending.printed.contains(expected), "{expected}: {}", ending.printed);
    }
    drop(run);
    let results = Results::of(&root);
    assert_eq!(results.steps_done("last"), Some(3), "{}", ending.printed);
    let results = Launch::resume(&root).beside_another().complete();
    undisturbed.check(&results, "resumed");
}

/// Everybody that has the state leaves: one more takes part in one step, which is checked.
#[test]
fn a_rank_without_a_shard_of_its_own_says_nothing_and_helps_to_judge() {
    let folder = tempfile::tempdir().unwrap();
    let launch = |name: &str| {
        launch(&folder.path().join(name)).with(&["--train-samples", "320", "--logical-shards", "2"])
    };
    let undisturbed = launch("undisturbed").workers(1).complete();
    let flags = ["--cross-check", "1", "--min-workers", "1"];
    let mut run = launch("run").with(&flags).workers(3).beside_another().start();
    run.wait_for_step(2);
    for rank in [0, 1] {
        let worker = run.worker(rank);
        kill(worker, Signal::SIGTERM).unwrap();
    }
    let ending = run.wait();
    assert_eq!(ending.code, Some(0), "{}", ending.printed);
    let results = Results::of(&run.root);
    check_same(&results, &undisturbed, "with a rank without shards");
}

/// Ten steps of which only the first is told, or all are: the claims travel with the steps, or what has come to the hosts is
/// compared, too.
#[test]
fn on_a_device_the_step_is_taken_back_too() {
    let folder = tempfile::tempdir().unwrap();
    for (every, step, phase, part) in [
        ("100", 4, "forward", "parameter"),
        ("100", 5, "optimizer", "momentum"),
        ("100", 6, "forward", "center"),
        ("100", 4, "forward", "statistic"),
        ("1", 5, "commit", "parameter"),
        ("1", 5, "commit", "claim"),
    ] {
        let on_device = |name: &str| {
            launch(&folder.path().join(format!("{name}-{every}-{phase}-{part}")))
                .with(&["--train-samples", "80", "--epochs", "1", "--min-workers", "1"])
                .with(&["--log-every", every, "--checkpoint-every", every])
                .with_tensors_on("cpu")
        };
        let undisturbed = on_device("undisturbed").workers(1).complete();
        let plan =
            format!("generation=1,rank=1,step={step},phase={phase},action={part},bit=20,place=70");
        let run = on_device("run").with_fault(&plan).workers(3).beside_another();
        let results = run.complete();
        let causes = losses(&results, 1);
        let found = causes.first().is_some_and(|cause| cause.contains("computed something else"));
        assert!(found, "{plan}: {causes:?}");
        assert!(others(&results, 1).is_empty(), "{plan}: {:?}", others(&results, 1));
        // The step before is committed while this one is under way.
        let expected = if phase == "commit" { step - 1 } else { step };
        assert_eq!(taken_up(&results), expected, "{plan}");
        check_same(&results, &undisturbed, &plan);
    }
}

/// What the worker that stays has is what both had agreed on.
#[test]
fn of_two_devices_the_one_whose_memory_has_changed_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let on_device = |name: &str| {
        launch(&folder.path().join(name))
            .with(&["--train-samples", "80", "--epochs", "1", "--log-every", "100"])
            .with(&["--checkpoint-every", "100", "--min-workers", "1"])
            .with_tensors_on("cpu")
    };
    let undisturbed = on_device("undisturbed").workers(1).complete();
    let plan = "generation=1,rank=1,step=5,phase=forward,action=parameter,bit=30,place=70";
    let results = on_device("run").with_fault(plan).workers(2).beside_another().complete();
    let causes = losses(&results, 1);
    assert!(causes[0].contains("have changed in its memory"), "{causes:?}");
    assert_eq!(taken_up(&results), 5);
    check_same(&results, &undisturbed, "two devices");
}

#[test]
fn what_nobody_compares_is_not_found() {
    let folder = tempfile::tempdir().unwrap();
    let plan = "generation=1,rank=1,step=1,phase=sum,action=sum,bit=45,place=5";
    let root = folder.path().join("run");
    let results = launch(&root).with_fault(plan).workers(3).beside_another().complete();
    assert_eq!(lost(&results), []);
    let undisturbed = launch(&folder.path().join("one")).workers(1).complete();
    // All have added the same wrong part.
    assert_ne!(results.model("last"), undisturbed.model("last"));
}
