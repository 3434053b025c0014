//! Losses, and the generations that follow them.

use super::*;

#[test]
fn after_a_loss_the_others_wait_for_another_and_go_on_from_memory() {
    let mut membership = started(3);
    let decisions = end_session(&mut membership, 1);
    assert!(matches!(&decisions[0], Decision::Lost(loss) if loss.in_generation));
    assert_eq!(halted(&decisions), [(0, true), (2, true)]);
    assert!(leave(&mut membership, 0, 7).is_empty());
    assert!(leave(&mut membership, 2, 6).is_empty(), "two are not enough");
    assert_eq!(membership.view(SECOND).phase, "waiting for workers");

    let decisions = joined(&mut membership, 9, 1);
    let begin = begin(&decisions);
    assert_eq!(begin.generation, Generation(2));
    let expected =
        Origin::Member { source: Rank(0), reached: at(7), lacking: vec![Rank(1), Rank(2)] };
    assert_eq!(begin.origin, expected);
    assert!(begin.cause.contains("rank 1 on host-1 closed its connection"), "{}", begin.cause);
    assert_eq!(membership.losses(), 1);
}

#[test]
fn with_fewer_workers_allowed_the_others_go_on_at_once() {
    let mut membership = started_with(Rules { min_workers: 1, ..rules(3) });
    end_session(&mut membership, 0);
    leave(&mut membership, 1, 4);
    let decisions = leave(&mut membership, 2, 4);
    let begin = begin(&decisions);
    assert_eq!(begin.members.iter().map(|p| p.slot.0).collect::<Vec<_>>(), [1, 2]);
    let expected = Origin::Member { source: Rank(0), reached: at(4), lacking: Vec::new() };
    assert_eq!(begin.origin, expected);
}

#[test]
fn news_through_the_peers_comes_first_and_the_loss_after() {
    let mut membership = started_with(Rules { min_workers: 1, ..rules(3) });
    let decisions = leave(&mut membership, 0, 3);
    assert_eq!(halted(&decisions), [(1, true), (2, true)]);
    assert!(leave(&mut membership, 1, 3).is_empty(), "rank 2 may still answer");
    let decisions = end_session(&mut membership, 2);
    assert_eq!(begin(&decisions).members.len(), 2);
    assert_eq!(membership.losses(), 1, "that was one loss");
}

#[test]
fn a_state_that_has_got_further_within_the_same_step_counts() {
    let mut membership = started_with(Rules { min_workers: 1, ..rules(3) });
    end_session(&mut membership, 2);
    let ended = Reached { step: 5, epochs: 1, ended: false };
    leave_at(&mut membership, 0, Reached { step: 5, epochs: 0, ended: false }, true);
    let decisions = leave_at(&mut membership, 1, ended, true);
    let expected = Origin::Member { source: Rank(1), reached: ended, lacking: vec![Rank(0)] };
    assert_eq!(begin(&decisions).origin, expected);
}

#[test]
fn who_does_not_leave_in_time_is_evicted() {
    let mut membership = started_with(Rules { min_workers: 1, ..rules(3) });
    end_session(&mut membership, 2);
    leave(&mut membership, 0, 3);
    let hear = |membership: &mut Membership, now, session| {
        let event = Event::Heard { session: SessionId(session), report: Report::default() };
        membership.apply(now, event);
    };
    for second in 2..11 {
        hear(&mut membership, second * SECOND, 0);
        hear(&mut membership, second * SECOND, 1);
        assert!(membership.apply(second * SECOND, Event::Tick).is_empty());
    }
    hear(&mut membership, 11 * SECOND, 0);
    hear(&mut membership, 11 * SECOND, 1);
    let decisions = membership.apply(11 * SECOND, Event::Tick);
    assert!(matches!(&decisions[0], Decision::Lost(loss) if loss.cause.contains("did not leave")));
    assert_eq!(begin(&decisions).members.len(), 1);
}

#[test]
fn silence_is_a_loss_after_twice_the_timeout() {
    let mut membership = started_with(Rules { min_workers: 1, ..rules(2) });
    let heard = Event::Heard { session: SessionId(0), report: Report::default() };
    membership.apply(9 * SECOND, heard);
    assert!(membership.apply(10 * SECOND, Event::Tick).is_empty());
    let decisions = membership.apply(11 * SECOND, Event::Tick);
    assert!(
        matches!(&decisions[0], Decision::Lost(loss) if loss.slot == Slot(1)
            && loss.cause == "has not been heard from for 10 s"),
        "{decisions:?}"
    );
}

#[test]
fn too_many_losses_end_the_run_with_the_last_checkpoint() {
    let mut membership = started_with(Rules { max_generations: 1, ..rules(2) });
    let description = "the last checkpoint is epoch 2".to_string();
    membership.apply(SECOND, Event::CheckpointStored { description, step: 0 });
    end_session(&mut membership, 1);
    leave(&mut membership, 0, 3);
    joined(&mut membership, 5, 1);
    assert_eq!(membership.generation(), Generation(2));
    let decisions = end_session(&mut membership, 5);
    assert_eq!(halted(&decisions), [(0, true)]);
    assert!(begin(&leave(&mut membership, 0, 4)).only_stores);
    let decisions = finish(&mut membership, 0, true);
    let message = failure(&decisions);
    for expected in ["rank 1 on host-1", "--max-generations allows 1", "checkpoint is epoch 2"] {
        assert!(message.contains(expected), "{expected} is missing in {message}");
    }
}

#[test]
fn without_survivors_it_waits_for_them_and_then_falls_back() {
    let mut membership = started(2);
    end_session(&mut membership, 0);
    end_session(&mut membership, 1);
    joined(&mut membership, 5, 0);
    let decisions = joined(&mut membership, 6, 1);
    assert_eq!(decisions.len(), 1, "one of the lost may come back with the state: {decisions:?}");
    // Whoever is there goes on being heard.
    let mut decisions = Vec::new();
    for second in 2..40 {
        for session in [5, 6] {
            let report = Report::default();
            let event = Event::Heard { session: SessionId(session), report };
            membership.apply(second * SECOND, event);
        }
        decisions = membership.apply(second * SECOND, Event::Tick);
        if !decisions.is_empty() {
            break;
        }
    }
    assert_eq!(begin(&decisions).origin, Origin::Stored);

    // Who comes later has nothing that counts.
    let late = Join { held: held(1, 50), ..join(7, 0) };
    membership.apply(40 * SECOND, Event::Joined(late));
    assert_eq!(membership.members[&Slot(0)].holds, None);
}

#[test]
fn nobody_waits_for_workers_that_have_said_that_they_end() {
    let mut membership = started(2);
    for session in [0, 1] {
        let reason = "out of memory".to_string();
        let failed =
            Event::Failed { session: SessionId(session), reason, ends_run: false, reached: None };
        membership.apply(SECOND, failed);
    }
    joined(&mut membership, 5, 0);
    let decisions = joined(&mut membership, 6, 1);
    assert_eq!(begin(&decisions).origin, Origin::Stored);
}

#[test]
fn workers_that_fail_again_and_again_without_a_step_end_the_run() {
    let mut membership = started(1);
    let fail = |membership: &mut Membership, session| {
        let reason = "out of memory".to_string();
        let failed =
            Event::Failed { session: SessionId(session), reason, ends_run: false, reached: None };
        membership.apply(SECOND, failed)
    };
    for session in 0..3 {
        assert_eq!(outcome(&fail(&mut membership, session)), None);
        joined(&mut membership, session + 1, 0);
    }
    // A step makes up for them.
    for step in [0, 1] {
        let report = Report { generation: Generation(4), step, ..Report::default() };
        membership.apply(SECOND, Event::Heard { session: SessionId(3), report });
    }
    for session in 3..6 {
        assert_eq!(outcome(&fail(&mut membership, session)), None);
        joined(&mut membership, session + 1, 0);
    }
    let decisions = fail(&mut membership, 6);
    let message = failure(&decisions);
    let expected = "failed: out of memory, 4 times without a step done in between";
    assert!(message.contains(expected), "{message}");
}

#[test]
fn a_survivor_that_comes_back_saves_the_state() {
    let mut membership = started(2);
    end_session(&mut membership, 0);
    end_session(&mut membership, 1);
    joined(&mut membership, 5, 0);
    let survivor = Join { held: held(1, 8), ..join(6, 1) };
    let decisions = membership.apply(2 * SECOND, Event::Joined(survivor));
    let expected = Origin::Member { source: Rank(1), reached: at(8), lacking: vec![Rank(0)] };
    assert_eq!(begin(&decisions).origin, expected);
}

#[test]
fn a_survivor_that_finds_a_newcomer_in_its_slot_takes_it_back() {
    let mut membership = started(1);
    end_session(&mut membership, 0);
    assert_eq!(joined(&mut membership, 5, 0).len(), 1);
    let survivor = Join { held: held(1, 8), ..join(6, 0) };
    let decisions = membership.apply(2 * SECOND, Event::Joined(survivor));
    assert!(matches!(&decisions[1], Decision::Evict { session: SessionId(5), .. }));
    assert!(matches!(begin(&decisions).origin, Origin::Member { .. }));
}

#[test]
fn states_of_other_runs_and_earlier_generations_are_worth_nothing() {
    for state in [
        Some(Held { run: "another".to_string(), ..held(1, 8).unwrap() }),
        held(0, 8),
        held(2, 8),
        None,
    ] {
        let mut membership = started(1);
        end_session(&mut membership, 0);
        let back = Join { held: state, ..join(6, 0) };
        let decisions = membership.apply(2 * SECOND, Event::Joined(back));
        assert_eq!(decisions.len(), 1, "the one that was lost is waited for: {decisions:?}");
    }
}

#[test]
fn a_restarted_coordinator_waits_for_the_survivors_of_the_killed_one() {
    let survivors = [Slot(0), Slot(1)].into();
    let past = Past { generation: Generation(4), survivors, ..Past::default() };
    let mut membership = Membership::new(rules(2), past);
    let survivor = |session, slot| {
        Event::Joined(Join { held: held(4, 20 + u64::from(slot)), ..join(session, slot) })
    };
    membership.apply(SECOND, survivor(0, 0));
    let decisions = membership.apply(SECOND, survivor(1, 1));
    let begin = begin(&decisions);
    assert_eq!(begin.generation, Generation(5));
    let expected = Origin::Member { source: Rank(1), reached: at(21), lacking: vec![Rank(0)] };
    assert_eq!(begin.origin, expected);

    let mut resumed =
        Membership::new(rules(1), Past { generation: Generation(4), ..Past::default() });
    let decisions = joined(&mut resumed, 0, 0);
    assert!(
        decisions.iter().any(|d| matches!(d, Decision::Begin(b) if b.origin == Origin::Stored))
    );
}

#[test]
fn a_newcomer_is_let_in_after_the_step_in_flight() {
    let mut membership = started_with(Rules { max_workers: 3, ..rules(2) });
    let decisions = joined(&mut membership, 7, 2);
    assert_eq!(halted(&decisions), [(0, false), (1, false)]);
    leave_at(&mut membership, 0, at(5), false);
    let decisions = leave_at(&mut membership, 1, at(5), false);
    let expected = Origin::Member { source: Rank(0), reached: at(5), lacking: vec![Rank(2)] };
    assert_eq!(begin(&decisions).origin, expected);
    assert_eq!(membership.losses(), 0);
}

#[test]
fn more_workers_than_logical_shards_wait_as_spares_and_take_over_at_once() {
    let rules = Rules { logical_shards: 2, max_workers: 3, min_workers: 2, ..rules(2) };
    let mut membership = started_with(rules);
    assert_eq!(joined(&mut membership, 7, 2).len(), 1, "a spare disturbs nobody");
    assert!(membership.view(SECOND).reason.contains("1 of them to spare"));
    end_session(&mut membership, 0);
    let decisions = leave(&mut membership, 1, 5);
    let begin = begin(&decisions);
    assert_eq!(begin.members.iter().map(|p| p.slot.0).collect::<Vec<_>>(), [1, 2]);
}
