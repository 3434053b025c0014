//! Real communicators of threads, with a library of the tests' own in NCCL's place (`tests/nccl/stand_in.cpp`);
//! `itself` has NCCL's own.

mod itself;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::config;
use common::ids::{Rank, WorldSize};
use tch::{Device, Kind, Tensor};

use super::{NcclCollective, find};
use crate::bridge::nccl::Library;
use crate::collective::in_process::{on_threads, run_ranks};
use crate::collective::{
    AbortHandle, Collective, CollectiveError, GlooCollective, MemoryStore, Seat,
};
use crate::reduction::Reduction;

const PATIENT: Duration = Duration::from_secs(20);
/// An abort is noticed and carried out well within this, on a busy machine too.
const PROMPT: Duration = Duration::from_secs(2);

/// The stand-in, compiled with these definitions.
pub(super) fn stand_in(definitions: &[&str]) -> PathBuf {
    static COMPILED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    // A folder of its own, where the loader does not look for NCCL itself.
    let folder = Path::new(env!("OUT_DIR")).join("stand-in");
    let file = folder.join(format!("libnccl{}.so.2", definitions.concat()));
    // Whoever comes meanwhile waits.
    let mut compiled = COMPILED.lock().unwrap();
    if !compiled.insert(file.clone()) {
        return file;
    }
    std::fs::create_dir_all(&folder).unwrap();
    let mut compiler = Command::new("g++");
    compiler.args(["-std=c++17", "-O1", "-shared", "-fPIC", "-pthread"]).args(definitions);
    compiler.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/nccl/stand_in.cpp"));
    let done = compiler.arg("-o").arg(&file).output().expect("g++ has built the bridge");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    file
}

fn library(definitions: &[&str]) -> Arc<Library> {
    find(Some(&stand_in(definitions))).unwrap()
}

/// One rank's way into a group that meets in `store`.
fn join(
    library: &Arc<Library>,
    store: &Arc<MemoryStore>,
    (rank, ranks): (u32, u32),
    timeout: Duration,
) -> Result<NcclCollective, CollectiveError> {
    let (rank, world_size) = (Rank(rank), WorldSize(ranks));
    let seat = Seat { rank, world_size, address: "127.0.0.1".into(), timeout };
    let gloo = GlooCollective::connect(Arc::clone(store) as _, seat, AbortHandle::new())?;
    NcclCollective::connect(library, &**store, (Device::Cpu, timeout), gloo)
}

/// A connected group, in rank order.
fn group(ranks: u32, timeout: Duration, definitions: &[&str]) -> Vec<NcclCollective> {
    let (library, store) = (library(definitions), Arc::new(MemoryStore::default()));
    on_threads(0..ranks, move |rank| join(&library, &store, (rank, ranks), timeout).unwrap())
}

/// Numbers whose sum depends on its order.
fn partial(shard: usize, length: i64) -> Tensor {
    let numbers = Tensor::arange(length, (Kind::Float, Device::Cpu)) * 0.37 + shard as f64;
    numbers.sin() * libm::pow(10.0, f64::from(shard as i32 % 5))
}

/// A small sum and a bucket over seven shards.
fn sums(collective: Box<dyn Collective>, mode: config::Reduction) -> (Tensor, Tensor) {
    let mut reduction = Reduction::new(collective, 7, mode);
    let owned = reduction.owned();
    let small: Vec<_> =
        owned.clone().map(|shard| partial(shard, 33).to_kind(Kind::Double)).collect();
    let small = reduction.sum_on_device(&small, 33, Device::Cpu).unwrap();
    let large: Vec<_> = owned.map(|shard| partial(shard, 300_000)).collect();
    let sum = Tensor::zeros([300_000], (Kind::Float, Device::Cpu));
    let bucket = reduction.start_bucket(&large, sum.shallow_clone()).unwrap();
    reduction.finish_bucket(bucket).unwrap();
    reduction.check().unwrap();
    reduction.leave().unwrap();
    (small, sum)
}

#[test]
fn ordered_sums_are_the_bits_of_gloo() {
    let ordered = config::Reduction::Ordered;
    for ranks in [2, 3, 4] {
        let gloo = run_ranks(ranks, PATIENT, move |gloo| sums(Box::new(gloo), ordered));
        let nccl =
            on_threads(group(ranks, PATIENT, &[]), move |nccl| sums(Box::new(nccl), ordered));
        assert!(nccl.iter().all(|sums| *sums == gloo[0]), "{ranks} ranks");
    }
}

#[test]
fn native_sums_are_close_and_the_same_on_every_rank() {
    let (ordered, native) = (config::Reduction::Ordered, config::Reduction::Native);
    let expected = run_ranks(3, PATIENT, move |gloo| sums(Box::new(gloo), ordered)).remove(0);
    let found = on_threads(group(3, PATIENT, &[]), move |nccl| sums(Box::new(nccl), native));
    for (small, bucket) in &found {
        assert!(small.allclose(&expected.0, 1e-12, 1e-9, false));
        assert!(bucket.allclose(&expected.1, 1e-3, 1e-2, false));
        assert_eq!(*bucket, found[0].1);
    }
}

#[test]
fn every_generation_has_a_communicator_of_its_own() {
    let library = library(&[]);
    for _ in 0..3 {
        let (library, store) = (Arc::clone(&library), Arc::new(MemoryStore::default()));
        on_threads(0..2, move |rank| {
            let mut nccl = join(&library, &store, (rank, 2), PATIENT).unwrap();
            let mut sum = Tensor::from_slice(&[1.0f64, f64::from(rank)]);
            nccl.all_reduce(&mut sum).unwrap();
            assert_eq!(sum, Tensor::from_slice(&[2.0f64, 1.0]));
            if rank == 0 {
                nccl.abort_handle().abort("the next one begins");
            }
        });
    }
}

#[test]
fn a_bad_request_leaves_the_group_whole() {
    on_threads(group(2, PATIENT, &[]), |mut nccl| {
        let peer = Rank(1 - nccl.rank().0);
        let columns = Tensor::zeros([3, 2], (Kind::Float, Device::Cpu)).tr();
        for bad in [(nccl.rank(), Tensor::from(1i64)), (peer, columns)] {
            let error = nccl.exchange(vec![bad], vec![]).unwrap_err();
            assert!(matches!(error, CollectiveError::Unsuitable(_)), "{error}");
        }
        let mut flags = Tensor::zeros([3], (Kind::Bool, Device::Cpu));
        let error = nccl.all_reduce(&mut flags).unwrap_err();
        assert!(matches!(error, CollectiveError::Unsuitable(_)), "{error}");
        let mut sum = Tensor::from_slice(&[1i64]);
        nccl.all_reduce(&mut sum).unwrap();
        assert_eq!(sum, Tensor::from_slice(&[2i64]));
        nccl.leave().unwrap();
    });
}

fn receive_from_1(nccl: &mut NcclCollective) -> CollectiveError {
    let room = Tensor::zeros([8], (Kind::Double, Device::Cpu));
    nccl.exchange(vec![], vec![(Rank(1), room)]).and_then(|pending| pending.wait()).unwrap_err()
}

fn sum_with_1(nccl: &mut NcclCollective) -> CollectiveError {
    nccl.all_reduce(&mut Tensor::zeros([8], (Kind::Double, Device::Cpu))).unwrap_err()
}

#[test]
fn an_abort_ends_what_waits_for_a_silent_rank() {
    for operation in [receive_from_1, sum_with_1] {
        let mut ranks = group(2, PATIENT, &[]);
        let (_silent, mut waiting) = (ranks.pop(), ranks.pop().unwrap());
        let handle = waiting.abort_handle();
        let waiter = thread::spawn(move || {
            let error = operation(&mut waiting);
            let woken = Instant::now();
            assert_eq!(waiting.check().unwrap_err(), error);
            assert_eq!(waiting.barrier().unwrap_err(), error);
            (error, woken)
        });
        thread::sleep(Duration::from_millis(100));
        let aborted = Instant::now();
        handle.abort("a new generation begins");
        let (error, woken) = waiter.join().unwrap();
        assert_eq!(error, CollectiveError::Aborted { reason: "a new generation begins".into() });
        assert!(woken.duration_since(aborted) < PROMPT);
    }
}

#[test]
fn a_silent_rank_is_not_waited_for_beyond_the_timeout() {
    let timeout = Duration::from_millis(300);
    let mut ranks = group(2, timeout, &[]);
    let (_silent, mut waiting) = (ranks.pop(), ranks.pop().unwrap());
    let started = Instant::now();
    let error = receive_from_1(&mut waiting);
    assert_eq!(error, CollectiveError::Unanswered { after: timeout });
    assert!(started.elapsed() >= timeout && started.elapsed() < PROMPT + timeout);
    assert_eq!(waiting.barrier().unwrap_err(), error);
}

#[test]
fn a_rank_that_is_gone_ends_the_group() {
    let mut ranks = group(3, PATIENT, &[]);
    drop(ranks.pop());
    let started = Instant::now();
    let errors = on_threads(ranks, |mut nccl| sum_with_1(&mut nccl));
    for error in errors {
        assert!(
            matches!(&error, CollectiveError::Nccl { reason } if reason.contains("remote")),
            "{error}"
        );
    }
    assert!(started.elapsed() < PROMPT);
}

#[test]
fn a_recording_that_fails_here_is_this_ranks_failure() {
    for is_recording in [false, true] {
        let errors = on_threads(group(2, PATIENT, &["-DCALLS_FAIL"]), move |mut nccl| {
            nccl.set_recording(is_recording);
            let error = sum_with_1(&mut nccl);
            nccl.set_recording(false);
            assert_eq!(nccl.check().unwrap_err(), error);
            error
        });
        for error in errors {
            let text = error.to_string();
            assert!(text.contains("unhandled cuda error"), "{text}");
            match is_recording {
                true => assert!(text.contains("--cuda-graph auto"), "{text}"),
                false => assert!(matches!(error, CollectiveError::Nccl { .. }), "{text}"),
            }
        }
    }
}

#[test]
fn a_rank_that_is_gone_while_a_step_is_recorded_is_not_this_ranks_failure() {
    let mut ranks = group(2, PATIENT, &[]);
    drop(ranks.pop());
    let mut left = ranks.pop().unwrap();
    left.set_recording(true);
    let error = sum_with_1(&mut left);
    left.set_recording(false);
    assert!(
        matches!(&error, CollectiveError::Nccl { reason } if reason.contains("remote")),
        "{error}"
    );
}

#[test]
fn an_abort_that_hangs_stops_nobody() {
    let mut ranks = group(2, PATIENT, &["-DABORT_HANGS"]);
    let (silent, waiting) = (ranks.pop(), ranks.pop().unwrap());
    let started = Instant::now();
    waiting.abort_handle().abort("enough");
    assert!(started.elapsed() < Duration::from_millis(500), "an abort does not wait");
    assert!(matches!(waiting.check(), Err(CollectiveError::Aborted { .. })));
    drop((silent, waiting));
    assert!(started.elapsed() < Duration::from_secs(15), "nor does the end of a collective");
}

#[test]
fn a_dropped_exchange_ends_the_collective() {
    let mut ranks = group(2, PATIENT, &[]);
    let (mut second, mut first) = (ranks.pop().unwrap(), ranks.pop().unwrap());
    let sent = thread::spawn(move || {
        let number = vec![(Rank(0), Tensor::from_slice(&[1.0f64; 8]))];
        second.exchange(number, vec![]).unwrap().wait().unwrap();
        second
    });
    let room = Tensor::zeros([8], (Kind::Double, Device::Cpu));
    drop(first.exchange(vec![], vec![(Rank(1), room)]).unwrap());
    assert!(matches!(first.barrier(), Err(CollectiveError::Aborted { .. })));
    sent.join().unwrap();
}

#[test]
fn a_rank_that_does_not_come_is_missed_in_time() {
    let timeout = Duration::from_secs(1);
    let (library, store) = (library(&[]), Arc::new(MemoryStore::default()));
    let errors = on_threads(0..2, move |rank| {
        let (rank, world_size) = (Rank(rank), WorldSize(2));
        let seat = Seat { rank, world_size, address: "127.0.0.1".into(), timeout };
        let gloo = GlooCollective::connect(Arc::clone(&store) as _, seat, AbortHandle::new());
        let gloo = gloo.unwrap();
        if rank == Rank(1) {
            // Stays, so that its connections do not break.
            thread::sleep(timeout * 3);
            return None;
        }
        let started = Instant::now();
        let place = (Device::Cpu, timeout);
        let error = NcclCollective::connect(&library, &*store, place, gloo).err().unwrap();
        assert!(started.elapsed() < timeout * 3);
        Some(error)
    });
    let reason = "not within 1s".to_string();
    assert_eq!(errors[0], Some(CollectiveError::Connect { world_size: 2, reason }));
}

#[test]
fn an_nccl_that_does_not_work_says_so() {
    let (library, store) = (library(&["-DBROKEN"]), Arc::new(MemoryStore::default()));
    let errors =
        on_threads(0..2, move |rank| join(&library, &store, (rank, 2), PATIENT).err().unwrap());
    for error in errors {
        let text = error.to_string();
        assert!(matches!(error, CollectiveError::Unusable { .. }), "{text}");
        assert!(
            text.contains("unhandled cuda error") && text.contains("--collective gloo"),
            "{text}"
        );
    }
}

#[test]
fn a_library_that_does_not_serve_is_named() {
    let old = stand_in(&["-DVERSION=21804"]);
    let error = find(Some(&old)).unwrap_err();
    let expected = format!("{} is NCCL 2.18.4, and 2.28.0 or newer is needed", old.display());
    assert!(error.contains(&expected), "{error}");
    let lacking = stand_in(&["-DWITHOUT_ABORT"]);
    let error = find(Some(&lacking)).unwrap_err();
    let expected = format!("{} is no NCCL that serves: it lacks ncclCommAbort", lacking.display());
    assert!(error.contains(&expected), "{error}");
}
