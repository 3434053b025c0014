//! Who may join, and which rank it gets.

use super::*;

#[test]
fn ranks_follow_slots_whatever_the_order_of_joining() {
    let mut membership = new(rules(3));
    assert_eq!(joined(&mut membership, 7, 2).len(), 1);
    assert_eq!(joined(&mut membership, 8, 0).len(), 1);
    let decisions = joined(&mut membership, 9, 1);
    let ranks: Vec<_> = begin(&decisions).members.iter().map(|p| (p.session.0, p.rank.0)).collect();
    assert_eq!(ranks, [(8, 0), (9, 1), (7, 2)]);
    assert_eq!(begin(&decisions).origin, Origin::Stored);
}

#[test]
fn a_session_that_asks_once_more_stays_what_it_is() {
    let mut membership = new(rules(3));
    let listening = |session, slot| {
        let mut join = join(session, slot);
        join.identity.listens_at = vec!["10.0.0.1:1".parse().unwrap()];
        Event::Joined(join)
    };
    for slot in 0..2 {
        membership.apply(SECOND, listening(u64::from(slot), slot));
    }
    // For a slot that is held, and for one that is not.
    for slot in 1..3 {
        assert!(membership.apply(SECOND, listening(0, slot)).is_empty());
    }
    let ended = Event::SessionEnded { session: SessionId(0), how: "is gone".to_string() };
    let decisions = membership.apply(SECOND, ended);
    assert!(matches!(&decisions[..], [Decision::Lost(loss), ..] if loss.slot == Slot(0)));
    for (session, slot) in [(2, 0), (3, 2)] {
        let decisions = membership.apply(SECOND, listening(session, slot));
        assert!(matches!(decisions[0], Decision::Admit { .. }), "{decisions:?}");
    }
}

#[test]
fn an_older_protocol_is_refused_with_both_versions() {
    let mut membership = new(rules(1));
    let old = Join { protocol_version: 77, ..join(0, 0) };
    let decisions = membership.apply(SECOND, Event::Joined(old));
    let ServiceError::IncompatibleVersion(message) = refusal(&decisions) else { panic!() };
    let own = format!("version {}", proto::PROTOCOL_VERSION);
    assert!(message.contains("version 77") && message.contains(&own), "{message}");
}

#[test]
fn a_rank_out_of_range_is_told_the_range() {
    let mut membership = new(rules(4));
    let decisions = joined(&mut membership, 0, 4);
    assert!(refusal(&decisions).to_string().contains("0…3"));
}

#[test]
fn a_holder_that_answers_keeps_its_slot() {
    let mut membership = new(rules(2));
    joined(&mut membership, 0, 1);
    let decisions = joined(&mut membership, 1, 1);
    assert_eq!(decisions, [Decision::Ping { session: SessionId(0) }]);
    let decisions = membership.apply(2 * SECOND, Event::Answered { session: SessionId(0) });
    assert!(matches!(refusal(&decisions), ServiceError::SlotTaken(_)));
    assert!(membership.apply(9 * SECOND, Event::Tick).is_empty());
}

#[test]
fn a_holder_that_is_silent_is_evicted_for_who_asks() {
    let mut membership = new(rules(2));
    joined(&mut membership, 0, 1);
    joined(&mut membership, 1, 1);
    assert!(membership.apply(2 * SECOND, Event::Tick).is_empty());
    let decisions = membership.apply(3 * SECOND, Event::Tick);
    assert!(matches!(
        &decisions[..],
        [
            Decision::Lost(_),
            Decision::Evict { session: SessionId(0), .. },
            Decision::Admit { session: SessionId(1), slot: Slot(1) },
        ]
    ));
    assert!(end_session(&mut membership, 0).is_empty(), "news of the evicted changes nothing");
    assert_eq!(membership.view(SECOND).members.len(), 1);
}

#[test]
fn a_process_that_comes_back_replaces_its_own_old_connection_at_once() {
    let mut membership = started(2);
    let identity = join(1, 1).identity;
    let again = Join { identity, held: held(1, 5), ..join(8, 1) };
    let decisions = membership.apply(SECOND, Event::Joined(again));
    assert!(decisions.contains(&Decision::Admit { session: SessionId(8), slot: Slot(1) }));
    assert_eq!(halted(&decisions), [(0, true)]);
    let decisions = leave(&mut membership, 0, 5);
    let Origin::Member { lacking, .. } = &begin(&decisions).origin else { panic!() };
    assert!(lacking.is_empty(), "both have the state");
}
