//! Who computes what the run has been computed with so far.

use std::sync::Arc;

use common::computing::{Computing, Proof};

use super::*;

/// A worker in a slot that has proved to compute this, on hardware of this name.
fn computes(slot: u32, digest: u8, hardware: &str) -> Event {
    let computing = Computing {
        proof: Some(Proof::new([digest; 32])),
        hardware: hardware.to_string(),
        ..Computing::default()
    };
    let identity = Identity { computing: Arc::new(computing), ..Identity::default() };
    Event::Joined(Join { identity, ..join(u64::from(slot), slot) })
}

fn is_refused(decisions: &[Decision]) -> bool {
    decisions.iter().any(|decision| matches!(decision, Decision::Refuse { .. }))
}

#[test]
fn what_is_proved_counts_on_any_hardware() {
    let joins = |first: (u8, &str), second: (u8, &str)| {
        let mut membership = new(rules(2));
        membership.apply(SECOND, computes(0, first.0, first.1));
        !is_refused(&membership.apply(SECOND, computes(1, second.0, second.1)))
    };
    assert!(joins((1, "EPYC"), (1, "Xeon")));
    assert!(!joins((1, "EPYC"), (2, "EPYC")));
}

#[test]
fn others_are_refused_in_words_unless_they_are_allowed() {
    for (hardware, expected) in [(HardwareRule::Alike, true), (HardwareRule::Mixed, false)] {
        let mut membership = new(Rules { hardware, ..rules(2) });
        membership.apply(SECOND, computes(0, 1, "Xeon"));
        let decisions = membership.apply(SECOND, computes(1, 2, "EPYC"));
        let refused = matches!(&decisions[0], Decision::Refuse { error, .. }
            if error.to_string().contains("EPYC here, Xeon there"));
        assert_eq!(refused, expected);
    }
}

#[test]
fn the_run_remembers_what_it_was_computed_with() {
    let mut membership = new(rules(1));
    let decisions = membership.apply(SECOND, computes(0, 1, "Xeon"));
    let computing = begin(&decisions).computing.clone().expect("members have to be alike");
    assert_eq!(computing.proof, Some(Proof::new([1; 32])));
    let ended = Event::SessionEnded { session: SessionId(0), how: "is gone".to_string() };
    membership.apply(2 * SECOND, ended.clone());
    let decisions = membership.apply(3 * SECOND, computes(0, 2, "Xeon"));
    assert!(is_refused(&decisions), "nobody is here, and the run goes on all the same");
    assert!(!is_refused(&membership.apply(4 * SECOND, computes(0, 1, "EPYC"))));

    let past = Past { generation: Generation(4), computing: Some(computing), ..Past::default() };
    let mut resumed = Membership::new(rules(1), past);
    assert!(is_refused(&resumed.apply(SECOND, computes(0, 2, "Xeon"))));
    assert!(!is_refused(&resumed.apply(SECOND, computes(0, 1, "Xeon"))));
}

#[test]
fn who_proves_nothing_does_not_take_a_proofs_place() {
    let mut membership = new(rules(1));
    membership.apply(SECOND, computes(0, 1, "Xeon"));
    let ended = Event::SessionEnded { session: SessionId(0), how: "is gone".to_string() };
    membership.apply(2 * SECOND, ended);
    let unproved = |hardware: &str| {
        let computing = Computing { hardware: hardware.to_string(), ..Computing::default() };
        let identity = Identity { computing: Arc::new(computing), ..Identity::default() };
        Event::Joined(Join { identity, ..join(7, 0) })
    };
    assert!(is_refused(&membership.apply(3 * SECOND, unproved("EPYC"))));
    let decisions = membership.apply(3 * SECOND, unproved("Xeon"));
    let computing = begin(&decisions).computing.clone().unwrap();
    assert_eq!(computing.proof, Some(Proof::new([1; 32])), "the run's is kept");
}

#[test]
fn who_comes_and_goes_before_the_first_generation_decides_nothing() {
    let mut membership = new(rules(2));
    membership.apply(SECOND, computes(0, 1, "Xeon"));
    let ended = Event::SessionEnded { session: SessionId(0), how: "is gone".to_string() };
    membership.apply(SECOND, ended);
    assert!(!is_refused(&membership.apply(2 * SECOND, computes(1, 2, "Xeon"))));
}

#[test]
fn nothing_is_remembered_of_a_mixture() {
    let mut membership = new(Rules { hardware: HardwareRule::Mixed, ..rules(1) });
    let decisions = membership.apply(SECOND, computes(0, 1, "Xeon"));
    assert_eq!(begin(&decisions).computing, None);
}
