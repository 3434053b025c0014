//! The state machine under chosen and under random events.

use std::collections::BTreeSet;

use common::ids::Epoch;
use common::status::ServiceError;
use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn rules(workers: u32) -> Rules {
    Rules { workers, hardware: HardwareRule::Uniform, timing: Timing::default() }
}

fn join(session: u64, slot: u32) -> Join {
    Join {
        session: SessionId(session),
        slot: Slot(slot),
        protocol_version: proto::PROTOCOL_VERSION,
        identity: Identity { host: format!("host-{slot}"), ..Identity::default() },
    }
}

/// `workers` members, session = slot, started at time 0.
fn started(workers: u32) -> Membership {
    let mut membership = Membership::new(rules(workers));
    for slot in 0..workers {
        membership.apply(Duration::ZERO, Event::Joined(join(u64::from(slot), slot)));
    }
    assert_eq!(membership.generation(), Generation(1));
    membership
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

fn finish(membership: &mut Membership, session: u64, stopped: bool) -> Vec<Decision> {
    let generation = membership.generation();
    let event = Event::Finished { session: SessionId(session), generation, stopped };
    membership.apply(SECOND, event)
}

fn end_session(membership: &mut Membership, session: u64) -> Vec<Decision> {
    let how = "closed its connection".to_string();
    membership.apply(SECOND, Event::SessionEnded { session: SessionId(session), how })
}

#[test]
fn ranks_follow_slots_whatever_the_order_of_joining() {
    let mut membership = Membership::new(rules(3));
    assert_eq!(membership.apply(SECOND, Event::Joined(join(7, 2))).len(), 1);
    assert_eq!(membership.apply(SECOND, Event::Joined(join(8, 0))).len(), 1);
    let decisions = membership.apply(SECOND, Event::Joined(join(9, 1)));
    let ranks: Vec<_> = decisions
        .iter()
        .filter_map(|decision| match decision {
            Decision::Start { session, order } => Some((session.0, order.rank.0)),
            _ => None,
        })
        .collect();
    assert_eq!(ranks, [(8, 0), (9, 1), (7, 2)]);
}

#[test]
fn an_older_protocol_is_refused_with_both_versions() {
    let mut membership = Membership::new(rules(1));
    let old = Join { protocol_version: 77, ..join(0, 0) };
    let decisions = membership.apply(SECOND, Event::Joined(old));
    let ServiceError::IncompatibleVersion(message) = refusal(&decisions) else { panic!() };
    assert!(message.contains("version 77") && message.contains("version 1"), "{message}");
}

#[test]
fn a_rank_out_of_range_is_told_the_range() {
    let mut membership = Membership::new(rules(4));
    let decisions = membership.apply(SECOND, Event::Joined(join(0, 4)));
    assert!(refusal(&decisions).to_string().contains("0…3"));
}

#[test]
fn other_hardware_is_refused_unless_allowed() {
    for (hardware, expected) in [(HardwareRule::Uniform, true), (HardwareRule::Mixed, false)] {
        let mut membership = Membership::new(Rules { hardware, ..rules(2) });
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
    let mut membership = Membership::new(rules(2));
    membership.apply(SECOND, Event::Joined(join(0, 1)));
    let decisions = membership.apply(SECOND, Event::Joined(join(1, 1)));
    assert_eq!(decisions, [Decision::Ping { session: SessionId(0) }]);
    let decisions = membership.apply(2 * SECOND, Event::Answered { session: SessionId(0) });
    assert!(matches!(refusal(&decisions), ServiceError::SlotTaken(_)));
    assert!(membership.apply(9 * SECOND, Event::Tick).is_empty());
}

#[test]
fn a_holder_that_is_silent_yields_its_slot() {
    let mut membership = Membership::new(rules(2));
    membership.apply(SECOND, Event::Joined(join(0, 1)));
    membership.apply(SECOND, Event::Joined(join(1, 1)));
    assert!(membership.apply(2 * SECOND, Event::Tick).is_empty());
    let decisions = membership.apply(3 * SECOND, Event::Tick);
    assert!(matches!(
        &decisions[..],
        [
            Decision::Abort { session: SessionId(0), .. },
            Decision::Admit { session: SessionId(1), slot: Slot(1) },
        ]
    ));
    assert!(end_session(&mut membership, 0).is_empty(), "news of the evicted changes nothing");
    assert_eq!(membership.view(SECOND).members.len(), 1);
}

#[test]
fn a_lost_member_ends_the_run_on_every_side() {
    let mut membership = started(3);
    let description = "the last checkpoint is epoch 2".to_string();
    membership.apply(SECOND, Event::CheckpointStored { description });
    let decisions = end_session(&mut membership, 1);
    let aborted = decisions.iter().filter(|d| matches!(d, Decision::Abort { .. })).count();
    assert_eq!(aborted, 3);
    let message = failure(&decisions);
    assert!(message.contains("rank 1 on host-1 closed its connection"), "{message}");
    assert!(message.contains("the last checkpoint is epoch 2"), "{message}");
    assert!(end_session(&mut membership, 0).is_empty());
}

#[test]
fn a_consequence_waits_for_its_cause() {
    let mut membership = started(3);
    let lost = |session| Event::LostPeer { session: SessionId(session), reason: "reset".into() };
    assert!(membership.apply(SECOND, lost(0)).is_empty());
    assert!(end_session(&mut membership, 0).is_empty());
    let decisions = end_session(&mut membership, 2);
    assert!(failure(&decisions).starts_with("rank 2"), "{decisions:?}");
}

#[test]
fn without_a_cause_the_quietest_is_named() {
    let mut membership = started(3);
    let heard = Event::Heard { session: SessionId(1), report: Report::default() };
    membership.apply(SECOND, heard);
    let lost = Event::LostPeer { session: SessionId(0), reason: "timed out".into() };
    membership.apply(SECOND, lost);
    assert!(membership.apply(2 * SECOND, Event::Tick).is_empty());
    let decisions = membership.apply(3 * SECOND, Event::Tick);
    let message = failure(&decisions);
    assert!(
        message.starts_with("rank 2 on host-2 stopped answering rank 0 on host-0"),
        "{message}"
    );
}

#[test]
fn silence_is_a_loss() {
    let mut membership = started(2);
    let heard = Event::Heard { session: SessionId(0), report: Report::default() };
    membership.apply(9 * SECOND, heard);
    assert!(membership.apply(10 * SECOND, Event::Tick).is_empty());
    let decisions = membership.apply(11 * SECOND, Event::Tick);
    assert!(failure(&decisions).contains("rank 1 on host-1 has not been heard from for 10 s"));
}

#[test]
fn all_finished_completes() {
    let mut membership = started(2);
    assert!(finish(&mut membership, 0, false).is_empty());
    assert!(end_session(&mut membership, 0).is_empty(), "a finished member may leave");
    let decisions = finish(&mut membership, 1, false);
    assert_eq!(outcome(&decisions), Some(&Outcome::Completed));
    assert_eq!(decisions.len(), 3);
}

#[test]
fn a_stop_waits_for_everyone_but_not_forever() {
    let stop = || Event::StopRequested { reason: "interrupted".to_string() };
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
        let heard = Event::Heard { session: SessionId(0), report: Report::default() };
        membership.apply(second * SECOND, heard);
        assert!(membership.apply(second * SECOND, Event::Tick).is_empty());
    }
    let decisions = membership.apply(31 * SECOND, Event::Tick);
    assert!(failure(&decisions).contains("rank 0 on host-0 did not store its state"));
}

#[test]
fn a_started_worker_that_dies_before_joining_ends_the_run() {
    let mut membership = Membership::new(rules(2));
    let how = "exited with code 1".to_string();
    let decisions = membership.apply(SECOND, Event::ProcessEnded { slot: Slot(1), how });
    assert!(failure(&decisions).contains("slot 1 exited with code 1 before it joined"));
}

#[test]
fn stale_heartbeats_keep_alive_but_tell_nothing() {
    let mut membership = started(1);
    let report = Report { generation: Generation(9), epoch: Epoch(5).0, ..Report::default() };
    membership.apply(SECOND, Event::Heard { session: SessionId(0), report });
    let view = membership.view(2 * SECOND);
    assert_eq!((view.members[0].report.epoch, view.members[0].silence), (0, SECOND));
}

fn any_event() -> impl Strategy<Value = (u64, Event)> {
    let session = (0u64..12).prop_map(SessionId);
    let event = (session, 0u32..6, 0u8..12).prop_map(|(session, slot, kind)| match kind {
        0..4 => Event::Joined(join(session.0, slot)),
        4 => Event::SessionEnded { session, how: "left".into() },
        5 => Event::Finished { session, generation: Generation(1), stopped: slot == 0 },
        6 => Event::Failed { session, reason: "why".into() },
        7 => Event::LostPeer { session, reason: "why".into() },
        8 => Event::Answered { session },
        9 if slot == 0 => Event::StopRequested { reason: "why".into() },
        10 if slot == 0 => Event::ProcessEnded { slot: Slot(1), how: "left".into() },
        11 => Event::Heard { session, report: Report::default() },
        _ => Event::Tick,
    });
    (0u64..1500, event)
}

/// What must hold whatever happens: checked from the decisions alone.
#[derive(Default)]
struct Referee {
    holders: BTreeMap<Slot, SessionId>,
    used: BTreeSet<SessionId>,
    generations: u64,
    ended: bool,
}

impl Referee {
    /// A connection asks for a slot once; the service never reuses its number.
    fn admits(&mut self, event: &Event) -> bool {
        match event {
            Event::Joined(join) => self.used.insert(join.session),
            _ => true,
        }
    }

    fn watch(&mut self, workers: u32, event: &Event, decisions: &[Decision]) {
        if let Event::SessionEnded { session, .. } = event
            && self.generations == 0
        {
            self.holders.retain(|_, holder| holder != session);
        }
        let mut ranks = Vec::new();
        for decision in decisions {
            assert!(!self.ended || matches!(decision, Decision::Refuse { .. }), "{decision:?}");
            match decision {
                Decision::Admit { session, slot } => {
                    assert!(slot.0 < workers);
                    assert_eq!(self.holders.insert(*slot, *session), None, "two in one slot");
                }
                Decision::Start { session, order } => {
                    assert_eq!(self.holders.len(), workers as usize, "started too early");
                    assert_eq!(order.world_size.0, workers);
                    let slot = self.holders.iter().find(|(_, holder)| *holder == session);
                    ranks.push((*slot.expect("only members start").0, order.rank));
                }
                Decision::Abort { session, .. } if self.generations == 0 => {
                    self.holders.retain(|_, holder| holder != session);
                }
                Decision::End(_) => self.ended = true,
                _ => {}
            }
        }
        if !ranks.is_empty() {
            self.generations += 1;
            assert!(ranks.is_sorted() && ranks.len() == workers as usize, "{ranks:?}");
            assert!(ranks.iter().enumerate().all(|(i, (_, rank))| rank.index() == i), "{ranks:?}");
        }
        assert!(self.generations <= 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_happens_membership_stays_sound(
        workers in 1u32..5,
        events in prop::collection::vec(any_event(), 1..80),
    ) {
        let mut membership = Membership::new(rules(workers));
        let mut referee = Referee::default();
        let mut now = Duration::ZERO;
        for (milliseconds, event) in events {
            now += Duration::from_millis(milliseconds);
            if referee.admits(&event) {
                let decisions = membership.apply(now, event.clone());
                referee.watch(workers, &event, &decisions);
            }
        }
        // Silence on every side ends any run that began, in bounded time.
        if membership.generation() == Generation(1) {
            for second in 0..60 {
                let decisions = membership.apply(now + second * SECOND, Event::Tick);
                referee.watch(workers, &Event::Tick, &decisions);
            }
            prop_assert!(referee.ended);
        }
    }
}
