//! How runs end.

use super::*;

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
    let event = Event::Failed { session: SessionId(1), reason, ends_run: true, reached: None };
    let decisions = membership.apply(SECOND, event);
    assert_eq!(outcome(&decisions), None, "the other has a state that is to be stored");
    assert_eq!(halted(&decisions), [(0, true)]);
    let decisions = leave(&mut membership, 0, 7);
    let storing = begin(&decisions);
    assert!(storing.only_stores);
    assert_eq!(storing.members.len(), 1);
    let decisions = finish(&mut membership, 0, true);
    assert!(failure(&decisions).contains("rank 1 on host-1 failed: the loss is NaN"));
    assert!(decisions.iter().any(|d| matches!(d, Decision::Abort { .. })));

    let mut membership = started(2);
    let reason = "out of memory".to_string();
    let event = Event::Failed { session: SessionId(1), reason, ends_run: false, reached: None };
    assert_eq!(outcome(&membership.apply(SECOND, event)), None);
}

#[test]
fn who_cannot_store_the_state_of_a_run_that_ends_leaves_it_to_another() {
    let mut membership = started(3);
    let reason = "the loss is NaN".to_string();
    let diverged = |session| {
        let (session, reason, reached) = (SessionId(session), reason.clone(), Some(at(7)));
        Event::Failed { session, reason, ends_run: true, reached }
    };
    membership.apply(SECOND, diverged(0));
    membership.apply(SECOND, diverged(1));
    let decisions = membership.apply(SECOND, diverged(2));
    assert_eq!(begin(&decisions).members[0].session, SessionId(0));
    let decisions = end_session(&mut membership, 0);
    assert_eq!(begin(&decisions).members[0].session, SessionId(1));
    let late = SECOND + Timing::default().stop_timeout;
    let report = Report::default();
    membership.apply(late, Event::Heard { session: SessionId(1), report });
    let decisions = membership.apply(late, Event::Tick);
    let message = failure(&decisions);
    assert!(message.contains("the loss is NaN") && message.contains("in time"), "{message}");
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
