//! The state machine under chosen events; `model` drives it by random ones.

use common::status::ServiceError;

use super::*;

pub const SECOND: Duration = Duration::from_secs(1);
const RUN: &str = "this run";

pub fn rules(workers: u32) -> Rules {
    Rules {
        run: RUN.to_string(),
        workers,
        min_workers: workers,
        max_workers: workers,
        logical_shards: workers.max(4),
        max_generations: 100,
        spawning: Spawning::ByHand,
        hardware: HardwareRule::Uniform,
        timing: Timing::default(),
    }
}

pub fn join(session: u64, slot: u32) -> Join {
    let host = format!("host-{slot}");
    // Every session is another process's.
    let identity = Identity { host, process_id: session as u32, ..Identity::default() };
    Join {
        session: SessionId(session),
        slot: Slot(slot),
        protocol_version: proto::PROTOCOL_VERSION,
        identity,
        held: None,
    }
}

fn new(rules: Rules) -> Membership {
    Membership::new(rules, Past::default())
}

/// As many members as the rules want, session = slot, started at time 0.
fn started_with(rules: Rules) -> Membership {
    let workers = rules.workers;
    let mut membership = new(rules);
    for slot in 0..workers {
        membership.apply(Duration::ZERO, Event::Joined(join(u64::from(slot), slot)));
    }
    assert_eq!(membership.generation(), Generation(1));
    membership
}

fn started(workers: u32) -> Membership {
    started_with(rules(workers))
}

fn outcome(decisions: &[Decision]) -> Option<&Outcome> {
    match decisions.last() {
        Some(Decision::End(outcome)) => Some(outcome),
        _ => None,
    }
}

fn failure(decisions: &[Decision]) -> &str {
    match outcome(decisions) {
        Some(Outcome::Failed { reason, .. }) => reason,
        other => panic!("{other:?} is no failure"),
    }
}

fn refusal(decisions: &[Decision]) -> &ServiceError {
    match decisions {
        [Decision::Refuse { error, .. }] => error,
        other => panic!("{other:?} is no refusal"),
    }
}

fn begin(decisions: &[Decision]) -> &Begin {
    let begun = decisions.iter().find_map(|decision| match decision {
        Decision::Begin(begin) => Some(begin),
        _ => None,
    });
    begun.unwrap_or_else(|| panic!("no generation begins: {decisions:?}"))
}

fn halted(decisions: &[Decision]) -> Vec<(u64, bool)> {
    let halt = |decision: &Decision| match decision {
        Decision::Halt { session, at_once, .. } => Some((session.0, *at_once)),
        _ => None,
    };
    decisions.iter().filter_map(halt).collect()
}

fn said_goodbye(decisions: &[Decision]) -> Vec<u64> {
    let goodbye = |decision: &Decision| match decision {
        Decision::Goodbye { session } => Some(session.0),
        _ => None,
    };
    decisions.iter().filter_map(goodbye).collect()
}

fn spawned(decisions: &[Decision]) -> Vec<u32> {
    let spawn = |decision: &Decision| match decision {
        Decision::Spawn { slot, .. } => Some(slot.0),
        _ => None,
    };
    decisions.iter().filter_map(spawn).collect()
}

fn at(step: u64) -> Reached {
    Reached { step, ..Reached::default() }
}

fn leave_at(
    membership: &mut Membership,
    session: u64,
    reached: Reached,
    broken: bool,
) -> Vec<Decision> {
    let generation = membership.generation();
    let (session, reason) = (SessionId(session), "why".to_string());
    let reached = Some(reached);
    membership.apply(SECOND, Event::Left { session, generation, reached, broken, reason })
}

fn leave(membership: &mut Membership, session: u64, step: u64) -> Vec<Decision> {
    leave_at(membership, session, at(step), true)
}

fn finish(membership: &mut Membership, session: u64, stopped: bool) -> Vec<Decision> {
    let generation = membership.generation();
    let session = SessionId(session);
    membership.apply(SECOND, Event::Finished { session, generation, stopped, reached: at(9) })
}

fn end_session(membership: &mut Membership, session: u64) -> Vec<Decision> {
    let how = "closed its connection".to_string();
    membership.apply(SECOND, Event::SessionEnded { session: SessionId(session), how })
}

fn joined(membership: &mut Membership, session: u64, slot: u32) -> Vec<Decision> {
    membership.apply(SECOND, Event::Joined(join(session, slot)))
}

fn held(generation: u64, step: u64) -> Option<Held> {
    Some(Held { run: RUN.to_string(), generation: Generation(generation), reached: at(step) })
}

// ---- joining ----

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
fn other_hardware_is_refused_unless_allowed() {
    for (hardware, expected) in [(HardwareRule::Uniform, true), (HardwareRule::Mixed, false)] {
        let mut membership = new(Rules { hardware, ..rules(2) });
        let with = |session, slot, name: &str| {
            let identity = Identity { hardware: name.to_string(), ..Identity::default() };
            Event::Joined(Join { identity, ..join(session, slot) })
        };
        membership.apply(SECOND, with(0, 0, "Xeon"));
        let decisions = membership.apply(SECOND, with(1, 1, "EPYC"));
        let refused = matches!(&decisions[0], Decision::Refuse { error, .. }
            if error.to_string().contains("Xeon") && error.to_string().contains("EPYC"));
        assert_eq!(refused, expected);
    }
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

// ---- losing and forming ----

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
    membership.apply(SECOND, Event::CheckpointStored { description });
    end_session(&mut membership, 1);
    leave(&mut membership, 0, 3);
    joined(&mut membership, 5, 1);
    assert_eq!(membership.generation(), Generation(2));
    let decisions = end_session(&mut membership, 5);
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
    let past = Past { generation: Generation(4), survivors: [Slot(0), Slot(1)].into() };
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
        Membership::new(rules(1), Past { generation: Generation(4), survivors: BTreeSet::new() });
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

// ---- workers that the coordinator starts ----

#[test]
fn a_started_worker_that_ends_is_started_again() {
    let mut membership = started_with(Rules { spawning: Spawning::Spawned, ..rules(2) });
    end_session(&mut membership, 1);
    let how = "was ended (signal 9)".to_string();
    let decisions = membership.apply(SECOND, Event::ProcessEnded { slot: Slot(1), how });
    assert_eq!(decisions.last(), Some(&Decision::Spawn { slot: Slot(1), delay: Duration::ZERO }));
}

#[test]
fn a_started_worker_that_never_joins_ends_the_run_in_the_end() {
    let mut membership = new(Rules { spawning: Spawning::Spawned, ..rules(2) });
    let how = || "exited with code 1".to_string();
    let exit = |membership: &mut Membership| {
        membership.apply(SECOND, Event::ProcessEnded { slot: Slot(1), how: how() })
    };
    for _ in 0..3 {
        assert_eq!(spawned(&exit(&mut membership)), [1]);
    }
    let decisions = exit(&mut membership);
    assert!(failure(&decisions).contains("slot 1 exited with code 1 before it joined"));
}

#[test]
fn when_all_processes_are_known_to_be_gone_nobody_is_waited_for() {
    let mut membership = started_with(Rules { spawning: Spawning::Spawned, ..rules(1) });
    end_session(&mut membership, 0);
    let how = "exited".to_string();
    membership.apply(SECOND, Event::ProcessEnded { slot: Slot(0), how });
    let decisions = joined(&mut membership, 5, 0);
    assert_eq!(begin(&decisions).origin, Origin::Stored);
}

// ---- leaving ----

#[test]
fn a_drained_worker_goes_after_its_step_and_the_others_go_on() {
    let mut membership = started(3);
    let decisions = membership.apply(SECOND, Event::DrainRequested { slot: Slot(1) });
    assert_eq!(halted(&decisions), [(0, false), (1, false), (2, false)]);
    for session in [0, 1] {
        leave_at(&mut membership, session, at(5), false);
    }
    let decisions = leave_at(&mut membership, 2, at(5), false);
    assert_eq!(said_goodbye(&decisions), [1]);
    assert_eq!(begin(&decisions).members.iter().map(|p| p.slot.0).collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn the_last_worker_stores_the_state_before_it_goes() {
    let mut membership = started(1);
    let reason = "SIGTERM".to_string();
    let decisions = membership.apply(SECOND, Event::Leaving { session: SessionId(0), reason });
    assert!(matches!(&decisions[..], [Decision::Stop { session: SessionId(0), .. }]));
    let decisions = finish(&mut membership, 0, true);
    assert_eq!(said_goodbye(&decisions), [0]);
    assert_eq!(outcome(&decisions), None, "the run goes on when another comes");
    let decisions = joined(&mut membership, 5, 0);
    assert_eq!(begin(&decisions).origin, Origin::Stored);
}

#[test]
fn scaling_down_drains_the_highest_slots_and_up_again_starts_them() {
    let mut membership = started_with(Rules { spawning: Spawning::Spawned, ..rules(3) });
    let decisions = membership.apply(SECOND, Event::ScaleRequested { workers: 1 });
    assert_eq!(halted(&decisions).len(), 3);
    leave_at(&mut membership, 0, at(5), false);
    leave_at(&mut membership, 1, at(5), false);
    let decisions = leave_at(&mut membership, 2, at(5), false);
    assert_eq!(said_goodbye(&decisions), [1, 2]);
    assert_eq!(begin(&decisions).members.len(), 1);
    let how = "exited with code 0".to_string();
    let decisions = membership.apply(SECOND, Event::ProcessEnded { slot: Slot(2), how });
    assert!(spawned(&decisions).is_empty(), "it was let go");
    let late = joined(&mut membership, 9, 2);
    assert!(matches!(refusal(&late), ServiceError::SlotTaken(m) if m.contains("scaled to")));

    let decisions = membership.apply(SECOND, Event::ScaleRequested { workers: 3 });
    assert_eq!(spawned(&decisions), [1, 2]);
    assert!(!matches!(joined(&mut membership, 10, 2)[..], [Decision::Refuse { .. }]));
}

// ---- ending ----

#[test]
fn all_finished_completes() {
    let mut membership = started(2);
    assert!(finish(&mut membership, 0, false).is_empty());
    let decisions = finish(&mut membership, 1, false);
    assert_eq!(outcome(&decisions), Some(&Outcome::Completed));
    assert_eq!(said_goodbye(&decisions), [0, 1]);
}

#[test]
fn a_finished_member_may_be_lost() {
    let mut membership = started(2);
    finish(&mut membership, 0, false);
    let decisions = end_session(&mut membership, 0);
    assert!(matches!(&decisions[0], Decision::Lost(loss) if !loss.in_generation));
    assert_eq!(outcome(&finish(&mut membership, 1, false)), Some(&Outcome::Completed));
}

#[test]
fn a_member_lost_before_it_has_finished_is_replaced_by_one_that_has() {
    let mut membership = started_with(Rules { min_workers: 1, ..rules(2) });
    finish(&mut membership, 1, false);
    let decisions = end_session(&mut membership, 0);
    let begin = begin(&decisions);
    assert_eq!((begin.members.len(), begin.generation), (1, Generation(2)));
    assert_eq!(outcome(&finish(&mut membership, 1, false)), Some(&Outcome::Completed));
}

#[test]
fn a_failure_that_every_worker_would_meet_ends_the_run() {
    let mut membership = started(2);
    let reason = "the loss is NaN".to_string();
    let event = Event::Failed { session: SessionId(1), reason, ends_run: true };
    let decisions = membership.apply(SECOND, event);
    assert!(failure(&decisions).contains("rank 1 on host-1 failed: the loss is NaN"));
    assert_eq!(decisions.iter().filter(|d| matches!(d, Decision::Abort { .. })).count(), 2);

    let mut membership = started(2);
    let reason = "out of memory".to_string();
    let event = Event::Failed { session: SessionId(1), reason, ends_run: false };
    assert_eq!(outcome(&membership.apply(SECOND, event)), None);
}

fn stop() -> Event {
    Event::StopRequested { reason: "interrupted".to_string() }
}

#[test]
fn a_stop_waits_for_everyone_but_not_forever() {
    let mut membership = started(2);
    assert_eq!(membership.apply(SECOND, stop()).len(), 2);
    assert!(membership.apply(SECOND, stop()).is_empty());
    finish(&mut membership, 0, true);
    let decisions = finish(&mut membership, 1, true);
    assert!(matches!(outcome(&decisions), Some(Outcome::Stopped { .. })));

    let mut membership = started(2);
    membership.apply(SECOND, stop());
    finish(&mut membership, 1, true);
    for second in 2..31 {
        for session in [0, 1] {
            let report = Report::default();
            membership.apply(second * SECOND, Event::Heard { session: SessionId(session), report });
        }
        assert!(membership.apply(second * SECOND, Event::Tick).is_empty());
    }
    let decisions = membership.apply(31 * SECOND, Event::Tick);
    assert!(failure(&decisions).contains("rank 0 on host-0 did not store its state"));
}

#[test]
fn a_loss_while_stopping_leaves_the_storing_to_the_others() {
    let mut membership = started(2);
    membership.apply(SECOND, stop());
    end_session(&mut membership, 0);
    let decisions = leave(&mut membership, 1, 5);
    assert_eq!(begin(&decisions).members.len(), 1);
    assert!(matches!(decisions.last(), Some(Decision::Stop { session: SessionId(1), .. })));
    assert!(matches!(outcome(&finish(&mut membership, 1, true)), Some(Outcome::Stopped { .. })));
}

#[test]
fn a_stop_before_anybody_has_a_state_ends_at_once() {
    let mut membership = new(rules(2));
    joined(&mut membership, 0, 0);
    let decisions = membership.apply(SECOND, stop());
    assert!(matches!(&decisions[0], Decision::Abort { .. }));
    assert!(matches!(outcome(&decisions), Some(Outcome::Stopped { .. })));
}

#[test]
fn stale_heartbeats_keep_alive_but_tell_nothing() {
    let mut membership = started(1);
    let report = Report { generation: Generation(9), epoch: 5, ..Report::default() };
    membership.apply(SECOND, Event::Heard { session: SessionId(0), report });
    let view = membership.view(2 * SECOND);
    assert_eq!((view.members[0].report.epoch, view.members[0].silence), (0, SECOND));
}
