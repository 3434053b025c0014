//! The state machine under chosen events; `model` drives it by random ones.

use std::time::Duration;

use common::ids::{Generation, Rank, Slot};
use common::status::ServiceError;

use super::*;

mod computing;
mod ending;
mod joining;
mod leaving;
mod losing;
mod placing;
mod reaching;
mod spawning;

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
        hardware: HardwareRule::Alike,
        timing: Timing::default(),
    }
}

pub fn join(session: u64, slot: u32) -> Join {
    let host = format!("host-{slot}");
    // Every session is another process's.
    let identity = Identity { host, process_id: session as u32, ..Identity::default() };
    Join {
        session: SessionId(session),
        slot: Some(Slot(slot)),
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
