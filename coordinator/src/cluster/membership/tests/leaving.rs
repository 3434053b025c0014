//! Workers that are let go, and spares.

use super::*;

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
    let decisions =
        membership.apply(SECOND, Event::ProcessEnded { slot: Slot(2), process: 2, how });
    assert!(spawned(&decisions).is_empty(), "it was let go");
    let late = joined(&mut membership, 9, 2);
    assert!(matches!(refusal(&late), ServiceError::SlotTaken(m) if m.contains("scaled to")));

    let decisions = membership.apply(SECOND, Event::ScaleRequested { workers: 3 });
    assert_eq!(spawned(&decisions), [1, 2]);
    assert!(!matches!(joined(&mut membership, 10, 2)[..], [Decision::Refuse { .. }]));
}
