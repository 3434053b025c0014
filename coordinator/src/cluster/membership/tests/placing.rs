//! Which slot a worker gets that asks for none.

use super::*;

fn anywhere(session: u64) -> Join {
    let identity = Identity { host: format!("container-{session}"), ..join(session, 0).identity };
    Join { slot: None, identity, ..join(session, 0) }
}

fn join_anywhere(membership: &mut Membership, session: u64) -> Vec<Decision> {
    membership.apply(SECOND, Event::Joined(anywhere(session)))
}

/// The slot that a session was given.
fn given(decisions: &[Decision], of: u64) -> Option<u32> {
    decisions.iter().find_map(|decision| match decision {
        Decision::Admit { session, slot } if session.0 == of => Some(slot.0),
        _ => None,
    })
}

#[test]
fn the_lowest_free_slot_is_given() {
    let mut membership = new(rules(4));
    joined(&mut membership, 10, 1);
    for (session, slot) in [(11, 0), (12, 2), (13, 3)] {
        assert_eq!(given(&join_anywhere(&mut membership, session), session), Some(slot));
    }
    let decisions = join_anywhere(&mut membership, 14);
    let ServiceError::SlotTaken(message) = refusal(&decisions) else { panic!() };
    assert!(message.contains("4 slots") && message.contains("--max-workers"), "{message}");
}

#[test]
fn the_slot_of_a_lost_worker_is_free() {
    let mut membership = started(3);
    end_session(&mut membership, 1);
    let decisions = join_anywhere(&mut membership, 7);
    assert_eq!(given(&decisions, 7), Some(1));
    assert!(halted(&decisions).is_empty(), "the others were told already");
}

#[test]
fn a_worker_that_did_not_hear_its_slot_is_given_the_same() {
    let mut membership = new(rules(3));
    join_anywhere(&mut membership, 4);
    joined(&mut membership, 5, 1);
    // The connection that it was given slot 0 over is lost, which nobody has noticed yet.
    let again = Join { session: SessionId(6), ..anywhere(4) };
    let decisions = membership.apply(SECOND, Event::Joined(again));
    assert_eq!(given(&decisions, 6), Some(0));
    // A process with the same number, in a container with the same address, is another worker.
    let mut twin = Join { session: SessionId(7), ..anywhere(4) };
    twin.identity.incarnation = 99;
    let decisions = membership.apply(SECOND, Event::Joined(twin));
    assert_eq!(given(&decisions, 7), Some(2));
}

#[test]
fn slots_of_survivors_who_are_waited_for_are_given_last() {
    let rules = Rules { max_workers: 3, ..rules(2) };
    let survivors = [Slot(0), Slot(1)].into();
    let past = Past { generation: Generation(5), survivors, ..Past::default() };
    let mut membership = Membership::new(rules, past);
    assert_eq!(given(&join_anywhere(&mut membership, 3), 3), Some(2));
    assert_eq!(given(&join_anywhere(&mut membership, 4), 4), Some(0));
}

#[test]
fn slots_that_a_started_worker_is_on_its_way_to_are_not_given() {
    let spawning = Spawning::Spawned;
    let mut membership = new(Rules { max_workers: 3, spawning, ..rules(2) });
    assert_eq!(given(&join_anywhere(&mut membership, 3), 3), Some(2));
    let decisions = join_anywhere(&mut membership, 4);
    assert!(refusal(&decisions).to_string().contains("--spawn"));
}

#[test]
fn a_run_takes_no_more_than_it_is_scaled_to() {
    let mut membership = new(Rules { max_workers: 8, ..rules(2) });
    membership.apply(SECOND, Event::ScaleRequested { workers: 3 });
    for (session, expected) in [(1, Some(0)), (2, Some(1)), (3, Some(2)), (4, None)] {
        assert_eq!(given(&join_anywhere(&mut membership, session), session), expected);
    }
}
