//! Who reaches whom: nobody is asked to compute with one that it does not reach, and none of that is a loss.

use std::net::SocketAddr;

use super::*;

const MOMENT: Duration = Duration::from_millis(100);

/// A worker that listens somewhere.
fn listening(session: u64, slot: u32, listens_at: &[&str]) -> Event {
    let mut join = join(session, slot);
    join.identity.listens_at =
        listens_at.iter().map(|it| it.parse::<SocketAddr>().unwrap()).collect();
    Event::Joined(join)
}

fn contacted(session: u64, peer: u64, outcome: Result<Vec<usize>, &str>) -> Event {
    let outcome = outcome.map_err(str::to_string);
    let attempts = vec![Attempt { peer: SessionId(peer), outcome }];
    Event::Contacted { session: SessionId(session), attempts }
}

/// Whom each is told to try, and how often.
fn sought(decisions: &[Decision]) -> Vec<(u64, Vec<u64>, Duration)> {
    let contact = |decision: &Decision| match decision {
        Decision::Contact { session, peers, every } => {
            Some((session.0, peers.iter().map(|peer| peer.session.0).collect(), *every))
        }
        _ => None,
    };
    decisions.iter().filter_map(contact).collect()
}

fn set_aside(decisions: &[Decision]) -> Vec<(u32, Option<&str>)> {
    let aside = |decision| match decision {
        &Decision::SetAside { slot, ref reason } => Some((slot.0, reason.as_deref())),
        _ => None,
    };
    decisions.iter().filter_map(aside).collect()
}

fn begins(decisions: &[Decision]) -> bool {
    decisions.iter().any(|decision| matches!(decision, Decision::Begin(_)))
}

/// Two that reach each other, at work.
fn two_at_work(rules: Rules) -> Membership {
    let mut membership = new(rules);
    membership.apply(SECOND, listening(0, 0, &["10.0.0.1:40"]));
    membership.apply(SECOND, listening(1, 1, &["10.0.0.2:40"]));
    membership.apply(SECOND, contacted(0, 1, Ok(vec![0])));
    let decisions = membership.apply(SECOND, contacted(1, 0, Ok(vec![0])));
    let addresses: Vec<_> = begin(&decisions).members.iter().map(|it| it.address).collect();
    assert_eq!(addresses, [Some([10, 0, 0, 1].into()), Some([10, 0, 0, 2].into())]);
    membership
}

fn step(membership: &mut Membership, session: u64, step: u64) {
    let report = Report { generation: membership.generation(), step, ..Report::default() };
    membership.apply(SECOND, Event::Heard { session: SessionId(session), report });
}

#[test]
fn a_generation_begins_when_all_reach_each_other() {
    let mut membership = new(rules(2));
    membership.apply(SECOND, listening(0, 0, &["10.0.0.1:40"]));
    let decisions = membership.apply(SECOND, listening(1, 1, &["127.0.0.1:41"]));
    assert_eq!(sought(&decisions), [(0, vec![1], 2 * MOMENT), (1, vec![0], 2 * MOMENT)]);
    let decisions = membership.apply(SECOND, contacted(0, 1, Err("connection refused")));
    assert!(!begins(&membership.apply(SECOND, contacted(1, 0, Ok(vec![0])))));
    let [(1, Some(reason))] = set_aside(&decisions)[..] else { panic!("{decisions:?}") };
    for part in ["rank 0", "rank 1", "127.0.0.1:41", "loopback", "refused", "--advertise"] {
        assert!(reason.contains(part), "`{part}` is missing in {reason}");
    }
    let waits = membership.view(SECOND).reason;
    assert!(waits.contains("loopback"), "{waits}");
    let decisions = membership.apply(SECOND, contacted(0, 1, Ok(vec![0])));
    assert_eq!(begin(&decisions).members.len(), 2);
    assert_eq!(membership.losses(), 0);
}

#[test]
fn one_that_hears_nothing_of_its_tries_is_waited_for_a_few_seconds() {
    let mut membership = new(rules(2));
    membership.apply(SECOND, listening(0, 0, &["10.0.0.1:40"]));
    membership.apply(SECOND, listening(1, 1, &["10.0.0.2:40"]));
    membership.apply(SECOND, contacted(0, 1, Ok(vec![0])));
    assert_eq!(set_aside(&membership.apply(3 * SECOND, Event::Tick)), []);
    let decisions = membership.apply(5 * SECOND, Event::Tick);
    let [(1, Some(reason))] = set_aside(&decisions)[..] else { panic!("{decisions:?}") };
    assert!(reason.contains("does not say"), "{reason}");
    let decisions = membership.apply(6 * SECOND, contacted(1, 0, Ok(vec![0])));
    assert_eq!(begin(&decisions).members.len(), 2);
}

#[test]
fn a_newcomer_that_nobody_reaches_costs_the_others_nothing() {
    let mut membership = two_at_work(Rules { max_workers: 3, ..rules(2) });
    step(&mut membership, 0, 5);
    let decisions = membership.apply(SECOND, listening(7, 2, &["192.168.0.9:40"]));
    assert!(halted(&decisions).is_empty());
    assert_eq!(sought(&decisions).len(), 3, "all try: {decisions:?}");
    membership.apply(SECOND, contacted(7, 0, Ok(vec![0])));
    membership.apply(SECOND, contacted(7, 1, Ok(vec![0])));
    membership.apply(SECOND, contacted(0, 7, Err("no route")));
    let decisions = membership.apply(SECOND, contacted(1, 7, Err("no route")));
    assert!(halted(&decisions).is_empty());
    let aside = membership.view(SECOND).members[2].aside.clone().unwrap();
    assert!(aside.contains("different networks") && aside.contains("192.168.0.9"), "{aside}");
    // From time to time it is tried again, and taken in when it is reached.
    let again = membership.apply(2 * SECOND, Event::Tick);
    assert!(sought(&again).iter().all(|(_, _, every)| *every == 5 * SECOND), "{again:?}");
    membership.apply(SECOND, contacted(0, 7, Ok(vec![0])));
    let decisions = membership.apply(SECOND, contacted(1, 7, Ok(vec![0])));
    assert_eq!(halted(&decisions), [(0, false), (1, false)]);
}

#[test]
fn when_the_way_between_two_is_lost_one_goes_on_and_the_other_is_taken_back() {
    let mut membership = two_at_work(Rules { min_workers: 1, ..rules(2) });
    step(&mut membership, 0, 5);
    leave(&mut membership, 0, 5);
    let decisions = leave(&mut membership, 1, 5);
    assert_eq!(sought(&decisions), [(0, vec![1], 2 * MOMENT), (1, vec![0], 2 * MOMENT)]);
    assert!(!begins(&decisions), "nothing is known yet");
    let decisions = membership.apply(SECOND, contacted(0, 1, Err("timed out")));
    let alone = begin(&decisions);
    assert_eq!(alone.members.iter().map(|it| it.slot.0).collect::<Vec<_>>(), [0]);
    membership.apply(SECOND, contacted(0, 1, Ok(vec![0])));
    let decisions = membership.apply(SECOND, contacted(1, 0, Ok(vec![0])));
    assert_eq!(halted(&decisions), [(0, false)]);
}

#[test]
fn the_addresses_are_of_one_family_that_all_have() {
    let mut membership = new(rules(2));
    membership.apply(SECOND, listening(0, 0, &["127.0.0.1:40", "10.0.0.1:40", "[fd00::1]:40"]));
    membership.apply(SECOND, listening(1, 1, &["[fd00::2]:40"]));
    membership.apply(SECOND, contacted(0, 1, Ok(vec![0])));
    let decisions = membership.apply(SECOND, contacted(1, 0, Ok(vec![2])));
    let addresses: Vec<_> = begin(&decisions).members.iter().map(|it| it.address).collect();
    let six = |last| Some(std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last).into());
    assert_eq!(addresses, [six(1), six(2)]);
}

#[test]
fn of_several_addresses_the_first_that_all_reach_is_taken() {
    let mut membership = new(rules(2));
    membership.apply(SECOND, listening(0, 0, &["127.0.0.1:40", "10.0.0.1:40"]));
    membership.apply(SECOND, listening(1, 1, &["10.0.0.2:40"]));
    membership.apply(SECOND, contacted(0, 1, Ok(vec![0])));
    let decisions = membership.apply(SECOND, contacted(1, 0, Ok(vec![1])));
    assert_eq!(begin(&decisions).members[0].address, Some([10, 0, 0, 1].into()));
}

#[test]
fn generations_without_a_step_are_no_losses_and_pause_longer_each_time() {
    let mut membership = started(2);
    let mut now = SECOND;
    for pause in [1, 2, 4, 8, 16, 32, 50, 50] {
        for session in [0, 1] {
            let (generation, reached) = (membership.generation(), Some(at(0)));
            let (session, broken, reason) = (SessionId(session), true, "no route".to_string());
            let left = Event::Left { session, generation, reached, broken, reason };
            assert!(!begins(&membership.apply(now, left)));
        }
        assert!(!begins(&membership.apply(now + pause * MOMENT - MOMENT / 2, Event::Tick)));
        now += pause * MOMENT;
        let mut decisions = Vec::new();
        for session in [0, 1] {
            let report = Report::default();
            membership.apply(now, Event::Heard { session: SessionId(session), report });
        }
        decisions.extend(membership.apply(now, Event::Tick));
        assert!(begins(&decisions), "after {pause} moments");
    }
    assert_eq!(membership.losses(), 0);
    assert_eq!(membership.view(now).fruitless, 8);
    step(&mut membership, 0, 1);
    assert_eq!(membership.view(now).fruitless, 0);
}

#[test]
fn a_newcomer_that_a_generation_breaks_with_is_left_out_of_the_next() {
    let mut membership = started_with(Rules { max_workers: 3, ..rules(2) });
    step(&mut membership, 0, 5);
    assert_eq!(halted(&joined(&mut membership, 7, 2)).len(), 2);
    leave_at(&mut membership, 0, at(5), false);
    let decisions = leave_at(&mut membership, 1, at(5), false);
    assert_eq!(begin(&decisions).members.len(), 3);
    for session in [0, 1, 7] {
        leave(&mut membership, session, 5);
    }
    let decisions = membership.apply(SECOND + MOMENT, Event::Tick);
    assert_eq!(begin(&decisions).members.len(), 2);
    let aside = membership.view(SECOND).members[2].aside.clone().unwrap();
    assert!(aside.contains("made no step"), "{aside}");
}

#[test]
fn what_nobody_could_tell_a_sleeping_coordinator_is_held_against_nobody() {
    let mut membership = started(2);
    let slept = 60 * SECOND;
    membership.apply(slept, Event::Woke { slept });
    assert!(membership.apply(slept, Event::Tick).is_empty());
    let evicted = membership.apply(2 * slept, Event::Tick);
    assert!(evicted.iter().any(|decision| matches!(decision, Decision::Lost(_))));
}

#[test]
fn news_of_a_step_that_comes_after_the_breakage_ends_the_count_of_generations_without_one() {
    let mut membership = started_with(Rules { min_workers: 1, ..rules(2) });
    leave(&mut membership, 0, 0);
    assert_eq!(membership.view(SECOND).fruitless, 1);
    step(&mut membership, 1, 1);
    end_session(&mut membership, 1);
    assert_eq!((membership.view(SECOND).fruitless, membership.losses()), (0, 1));
}
