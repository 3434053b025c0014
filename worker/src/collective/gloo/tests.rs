//! Real groups of threads: what arrives, and what every rank learns when something breaks.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use common::ids::{Rank, WorldSize};
use tch::{Device, Kind, Tensor};

use crate::collective::in_process::{in_process_group, on_threads, run_ranks};
use crate::collective::{
    AbortHandle, Collective, CollectiveError, GlooCollective, MemoryStore, PendingExchange, Seat,
};

const PATIENT: Duration = Duration::from_secs(20);
const PROMPT: Duration = Duration::from_millis(100);

fn peers(collective: &GlooCollective) -> Vec<Rank> {
    collective.world_size().ranks().filter(|&peer| peer != collective.rank()).collect()
}

/// What `from` sends to `to` in a round: recognisable, and of a length of its own.
fn parcel(from: Rank, to: Rank, round: i64, kind: Kind) -> Tensor {
    let length = i64::from(1 + 7 * from.0 + 3 * to.0) + round;
    let first = i64::from(from.0 * 16 + to.0) + round;
    (Tensor::arange(length, (Kind::Int64, Device::Cpu)) + first).to_kind(kind)
}

fn start_round(collective: &mut GlooCollective, round: i64, kind: Kind) -> PendingExchange {
    let own = collective.rank();
    let to = |&peer: &Rank| (peer, parcel(own, peer, round, kind));
    let from = |&peer: &Rank| (peer, parcel(peer, own, round, kind).zeros_like());
    let peers = peers(collective);
    let (sends, receives) = (peers.iter().map(to).collect(), peers.iter().map(from).collect());
    collective.exchange(sends, receives).unwrap()
}

fn expected(collective: &GlooCollective, round: i64, kind: Kind) -> Vec<Tensor> {
    let own = collective.rank();
    peers(collective).iter().map(|&peer| parcel(peer, own, round, kind)).collect()
}

#[test]
fn every_rank_gets_what_every_other_sent() {
    run_ranks(4, PATIENT, |mut collective| {
        for kind in [Kind::Float, Kind::Double, Kind::Int64, Kind::Uint8] {
            let received = start_round(&mut collective, 0, kind).wait().unwrap();
            assert_eq!(received, expected(&collective, 0, kind));
        }
        collective.leave().unwrap();
    });
}

#[test]
fn exchanges_in_flight_do_not_mix() {
    run_ranks(3, PATIENT, |mut collective| {
        let pending: Vec<_> =
            (0..8).map(|round| start_round(&mut collective, round, Kind::Double)).collect();
        for (round, pending) in pending.into_iter().enumerate().rev() {
            let received = pending.wait().unwrap();
            assert_eq!(received, expected(&collective, round as i64, Kind::Double));
        }
        collective.leave().unwrap();
    });
}

#[test]
fn large_tensors_arrive_whole() {
    run_ranks(2, PATIENT, |mut collective| {
        let peer = peers(&collective)[0];
        let length = 3_000_000;
        let sent =
            Tensor::full([length], i64::from(collective.rank().0), (Kind::Int64, Device::Cpu));
        let room = sent.zeros_like();
        let received =
            collective.exchange(vec![(peer, sent)], vec![(peer, room)]).unwrap().wait().unwrap();
        let whole = Tensor::full([length], i64::from(peer.0), (Kind::Int64, Device::Cpu));
        assert_eq!(received, [whole]);
        collective.leave().unwrap();
    });
}

#[test]
fn lists_may_be_empty_and_tensors_without_elements() {
    run_ranks(2, PATIENT, |mut collective| {
        let peer = peers(&collective)[0];
        assert!(collective.exchange(vec![], vec![]).unwrap().wait().unwrap().is_empty());
        let empty = || vec![(peer, Tensor::zeros([0, 5], (Kind::Float, Device::Cpu)))];
        let received = collective.exchange(empty(), empty()).unwrap().wait().unwrap();
        assert_eq!(received[0].size(), [0, 5]);
        // One way only: the second rank has nothing to say.
        let number = Tensor::from_slice(&[41i64]);
        let received = if collective.rank() == Rank::FIRST {
            collective.exchange(vec![(peer, number)], vec![])
        } else {
            collective.exchange(vec![], vec![(peer, number.zeros_like())])
        };
        let received = received.unwrap().wait().unwrap();
        assert_eq!(received.len(), collective.rank().index());
        assert!(received.iter().all(|tensor| *tensor == Tensor::from_slice(&[41i64])));
        collective.leave().unwrap();
    });
}

#[test]
fn all_reduce_sums_over_ranks() {
    run_ranks(3, PATIENT, |mut collective| {
        let mut sum = Tensor::from_slice(&[f64::from(collective.rank().0), 1.0]);
        collective.all_reduce(&mut sum).unwrap();
        assert_eq!(sum, Tensor::from_slice(&[3.0f64, 3.0]));
        collective.leave().unwrap();
    });
}

#[test]
fn a_bad_request_leaves_the_group_whole() {
    run_ranks(2, PATIENT, |mut collective| {
        let peer = peers(&collective)[0];
        let columns = Tensor::zeros([3, 2], (Kind::Float, Device::Cpu)).tr();
        for bad in [(collective.rank(), Tensor::from(1i64)), (peer, columns)] {
            let error = collective.exchange(vec![bad], vec![]).unwrap_err();
            assert!(matches!(error, CollectiveError::Unsuitable(_)), "{error}");
        }
        collective.leave().unwrap();
    });
}

/// Aborts one rank while its peer stays silent. The quickest of a few tries counts: on a busy
/// machine a thread may wait for its turn.
fn check_abort(operation: fn(&mut GlooCollective) -> CollectiveError) {
    let quickest = (0..3).map(|_| abort_delay(operation)).min().unwrap();
    assert!(quickest < PROMPT, "took {quickest:?}");
}

/// How long an operation goes on after its abort.
fn abort_delay(operation: fn(&mut GlooCollective) -> CollectiveError) -> Duration {
    let mut group = in_process_group(2, PATIENT);
    let silent = group.pop();
    let mut waiting = group.pop().unwrap();
    let handle = waiting.abort_handle();
    let waiter = thread::spawn(move || {
        let error = operation(&mut waiting);
        let now = Instant::now();
        let later = waiting.exchange(vec![], vec![]).unwrap_err();
        (error, later, now)
    });
    thread::sleep(Duration::from_millis(200));
    let aborted = Instant::now();
    handle.abort("a new generation begins");
    let (error, later, woken) = waiter.join().unwrap();
    assert_eq!(error, CollectiveError::Aborted { reason: "a new generation begins".into() });
    assert_eq!(later, error);
    drop(silent);
    woken.duration_since(aborted)
}

#[test]
fn an_abort_ends_a_pending_receive_at_once() {
    check_abort(|collective| {
        let room = Tensor::zeros([64], (Kind::Double, Device::Cpu));
        let pending = collective.exchange(vec![], vec![(Rank(1), room)]);
        pending.and_then(PendingExchange::wait).unwrap_err()
    });
}

#[test]
fn an_abort_ends_a_pending_send_at_once() {
    check_abort(|collective| {
        let data = Tensor::zeros([4_000_000], (Kind::Double, Device::Cpu));
        let pending = collective.exchange(vec![(Rank(1), data)], vec![]);
        pending.and_then(PendingExchange::wait).unwrap_err()
    });
}

#[test]
fn an_abort_ends_a_pending_all_reduce_at_once() {
    check_abort(|collective| {
        let mut sum = Tensor::zeros([64], (Kind::Double, Device::Cpu));
        collective.all_reduce(&mut sum).unwrap_err()
    });
}

#[test]
fn a_rank_that_is_gone_is_named() {
    let errors = run_ranks(3, PATIENT, |mut collective| {
        if collective.rank() == Rank(2) {
            return None;
        }
        // Only the lost one is asked, so that its name is the only right answer.
        let room = Tensor::zeros([8], (Kind::Float, Device::Cpu));
        let pending = collective.exchange(vec![], vec![(Rank(2), room)]);
        Some(pending.and_then(|pending| pending.wait()).unwrap_err())
    });
    for error in errors.into_iter().flatten() {
        assert!(matches!(error, CollectiveError::PeerLost { rank: Rank(2), .. }), "{error}");
    }
}

#[test]
fn messages_are_without_places_in_the_engines_source() {
    let said = super::without_source_lines(
        "[/build/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:4000",
    );
    assert_eq!(said, "Connection closed by peer [127.0.0.1]:4000");
    let twice = "failed with [/build/gloo/pair.cc:144] timed out [a/b] [/build/gloo/pair.h:7]";
    assert_eq!(super::without_source_lines(twice), "failed with timed out [a/b] ");
}

#[test]
fn a_silent_rank_is_named_after_the_timeout() {
    let timeout = Duration::from_millis(250);
    let mut group = in_process_group(3, timeout);
    let (_silent, _other) = (group.pop(), group.pop());
    let mut waiting = group.pop().unwrap();
    let room = Tensor::zeros([8], (Kind::Float, Device::Cpu));
    let started = Instant::now();
    let error = waiting.exchange(vec![], vec![(Rank(2), room)]).unwrap().wait().unwrap_err();
    assert_eq!(error, CollectiveError::Timeout { rank: Rank(2), after: timeout });
    assert!(started.elapsed() >= timeout && started.elapsed() < timeout * 10);
    assert_eq!(waiting.barrier().unwrap_err(), error);
}

#[test]
fn lengths_that_disagree_are_an_error() {
    for sent in [4, 16] {
        let errors = run_ranks(2, Duration::from_secs(1), move |mut collective| {
            let floats = |length: i64| Tensor::ones([length], (Kind::Float, Device::Cpu));
            let pending = match collective.rank() {
                Rank::FIRST => collective.exchange(vec![(Rank(1), floats(sent))], vec![]),
                _ => collective.exchange(vec![], vec![(Rank(0), floats(8))]),
            };
            pending.and_then(|pending| pending.wait()).unwrap_err()
        });
        let is_timeout = |error: &CollectiveError| matches!(error, CollectiveError::Timeout { .. });
        assert!(errors.iter().any(is_timeout), "{errors:?}");
    }
}

#[test]
fn a_dropped_exchange_ends_the_collective_on_both_sides() {
    let mut group = in_process_group(2, PATIENT);
    let mut second = group.pop().unwrap();
    let mut first = group.pop().unwrap();
    let room = Tensor::zeros([8], (Kind::Float, Device::Cpu));
    drop(first.exchange(vec![], vec![(Rank(1), room.shallow_clone())]).unwrap());
    assert!(matches!(first.barrier(), Err(CollectiveError::Aborted { .. })));
    let pending = second.exchange(vec![], vec![(Rank(0), room)]);
    let error = pending.and_then(|pending| pending.wait()).unwrap_err();
    assert!(matches!(error, CollectiveError::PeerLost { rank: Rank(0), .. }), "{error}");
}

#[test]
fn leaving_waits_for_the_slowest_rank() {
    let late = Duration::from_millis(200);
    let waits = run_ranks(4, PATIENT, move |mut collective| {
        let received = start_round(&mut collective, 100, Kind::Double).wait().unwrap();
        assert_eq!(received, expected(&collective, 100, Kind::Double));
        if collective.rank() == Rank(3) {
            thread::sleep(late);
        }
        let started = Instant::now();
        collective.leave().unwrap();
        started.elapsed()
    });
    assert!(waits[..3].iter().all(|wait| *wait > late / 2), "{waits:?}");
}

#[test]
fn leaving_does_not_mind_who_is_through_first() {
    run_ranks(2, PATIENT, |mut collective| match collective.rank() {
        Rank::FIRST => collective.leave().unwrap(),
        // As if it had finished the second barrier before the other began it.
        _ => collective.barrier().unwrap(),
    });
}

#[test]
fn groups_of_one_process_begin_their_sums_at_the_same_time() {
    const GROUPS: u32 = 16;
    for _ in 0..40 {
        let begin = Arc::new(Barrier::new(GROUPS as usize));
        on_threads(0..GROUPS, move |group| {
            let alone = Seat { world_size: WorldSize(1), ..seat("127.0.0.1", PATIENT) };
            let store = Arc::new(MemoryStore::default());
            let mut collective = GlooCollective::connect(store, alone, AbortHandle::new()).unwrap();
            let mut sum = Tensor::from(i64::from(group));
            begin.wait();
            collective.all_reduce(&mut sum).unwrap();
            assert_eq!(i64::try_from(sum).unwrap(), i64::from(group));
        });
    }
}

fn seat(address: &str, timeout: Duration) -> Seat {
    Seat { rank: Rank(0), world_size: WorldSize(2), address: address.into(), timeout }
}

#[test]
fn a_missing_rank_fails_the_connection_in_time() {
    let store = Arc::new(MemoryStore::default());
    let seat = seat("127.0.0.1", Duration::from_millis(200));
    let error = GlooCollective::connect(store, seat, AbortHandle::new()).err().unwrap();
    let text = error.to_string();
    assert!(text.starts_with("2 ranks did not connect: ") && text.contains("nobody has set"));
}

#[test]
fn an_address_of_another_machine_is_refused() {
    let store = Arc::new(MemoryStore::default());
    let seat = seat("192.0.2.1", PATIENT);
    let error = GlooCollective::connect(store, seat, AbortHandle::new()).err().unwrap();
    assert!(matches!(&error, CollectiveError::OwnAddress { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("192.0.2.1") && text.contains("--advertise"), "{text}");
}

#[test]
fn an_abort_ends_connecting_at_once() {
    let abort = AbortHandle::new();
    let connecting = abort.clone();
    let waiter = thread::spawn(move || {
        let store = Arc::new(MemoryStore::default());
        let error = GlooCollective::connect(store, seat("127.0.0.1", PATIENT), connecting).err();
        (error, Instant::now())
    });
    thread::sleep(Duration::from_millis(100));
    let aborted = Instant::now();
    abort.abort("not needed any more");
    let (error, woken) = waiter.join().unwrap();
    assert_eq!(error, Some(CollectiveError::Aborted { reason: "not needed any more".into() }));
    assert!(woken.duration_since(aborted) < PATIENT / 10);
}
