//! Workers that the coordinator starts.

use super::*;

#[test]
fn a_started_worker_that_ends_is_started_again() {
    let mut membership = started_with(Rules { spawning: Spawning::Spawned, ..rules(2) });
    end_session(&mut membership, 1);
    let how = "was ended (signal 9)".to_string();
    let decisions =
        membership.apply(SECOND, Event::ProcessEnded { slot: Slot(1), process: 1, how });
    assert_eq!(decisions.last(), Some(&Decision::Spawn { slot: Slot(1), delay: Duration::ZERO }));
}

#[test]
fn a_started_worker_that_never_joins_ends_the_run_in_the_end() {
    let mut membership = new(Rules { spawning: Spawning::Spawned, ..rules(2) });
    let how = || "exited with code 1".to_string();
    let exit = |membership: &mut Membership| {
        membership.apply(SECOND, Event::ProcessEnded { slot: Slot(1), process: 1, how: how() })
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
    membership.apply(SECOND, Event::ProcessEnded { slot: Slot(0), process: 0, how });
    let decisions = joined(&mut membership, 5, 0);
    assert_eq!(begin(&decisions).origin, Origin::Stored);
}

#[test]
fn the_end_of_another_process_of_the_slot_is_no_loss() {
    let mut membership = started_with(Rules { spawning: Spawning::Spawned, ..rules(2) });
    let how = "exited with code 1".to_string();
    let event = Event::ProcessEnded { slot: Slot(1), process: 77, how };
    assert!(membership.apply(SECOND, event).is_empty(), "the slot is held, by another");
    assert_eq!(membership.view(SECOND).members.len(), 2);
}
