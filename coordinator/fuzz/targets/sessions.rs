//! Sessions: whatever workers say in whatever order, what is let in is bounded, and the state machine goes on.

#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;
use std::time::Duration;

use common::ids::Slot;
use coordinator::cluster::membership::{
    Event, HardwareRule, Join, Membership, Past, Rules, SessionId, Spawning, Timing,
};
use coordinator::cluster::translation::{event, held, identity};
use coordinator::service::intake::Intake;
use coordinator::service::intake::joins::Joins;
use fuzz::made::word;
use fuzz::run::{CONFIG, EPOCHS, IDENTITY, STEPS_PER_EPOCH, data_identity, in_this_version};
use fuzz::{Choices, pieces};
use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use proto::worker_message::Message;
use proto::{Attempt, Hello, Reached, WorkerMessage};

/// Who says something so goes around the intake: the state machine does not rest on it.
const UNCHECKED: u8 = 0x80;
/// Such a word is made; others are the fuzzer's bytes.
const MADE: u8 = 0x40;
/// Bytes of a reason that are kept, and of a sign that says that it was cut.
const LONGEST_REASON: usize = (16 << 10) + 3;

static INTAKE: LazyLock<Intake> = LazyLock::new(|| Intake::new(&CONFIG, &data_identity(), 0));

fuzz_target!(|data: &[u8]| {
    let mut membership = Membership::new(rules(), Past::default());
    let joins = Joins::new(4);
    let mut now = Duration::ZERO;
    for piece in pieces(data) {
        // Who speaks, and how long after the one before, in tenths of a second; then what.
        let Some((&[who, delay], body)) = piece.split_first_chunk() else { continue };
        now += Duration::from_millis(100) * u32::from(delay);
        let session = SessionId(u64::from(who % 8));
        let generation = membership.generation().0;
        let word = match who & MADE {
            0 => WorkerMessage::decode(body).ok(),
            _ => Some(WorkerMessage { message: Some(word(&mut Choices(body), generation)) }),
        };
        let event = match word.map(in_this_version).and_then(|word| word.message) {
            Some(Message::Hello(hello)) => {
                let Some(hello) = let_in(who, hello, &joins, now) else { continue };
                Event::Joined(Join {
                    session,
                    slot: hello.slot.map(Slot),
                    protocol_version: hello.protocol_version,
                    identity: identity(&hello),
                    held: held(&hello),
                })
            }
            Some(message) => match heard(who, session, message) {
                Some(event) => event,
                None => continue,
            },
            None if body.is_empty() => Event::SessionEnded { session, how: "is gone".to_string() },
            None => Event::Tick,
        };
        membership.apply(now, event);
        let _ = membership.view(now);
    }
});

/// What a word means, once it is tidied; who says what cannot be true is gone.
fn heard(who: u8, session: SessionId, message: Message) -> Option<Event> {
    if who & UNCHECKED != 0 {
        return event(session, message);
    }
    match INTAKE.tidy(message) {
        Ok(message) => {
            check(&message);
            event(session, message)
        }
        Err(how) => Some(Event::SessionEnded { session, how }),
    }
}

/// What a worker is known by that is let in: its names are short lines, and the run can have got as far as it says.
fn let_in(who: u8, hello: Hello, joins: &Joins, now: Duration) -> Option<Hello> {
    if who & UNCHECKED != 0 {
        return Some(hello);
    }
    let hello = INTAKE.check_hello(hello).ok()?;
    let held = hello.held.as_ref();
    let run = held.map_or("", |held| &held.run);
    for name in [&hello.advertise, &hello.device, &hello.hardware, &hello.machine, run] {
        assert!(name.len() <= 256 && !name.contains('\n'), "{name:?}");
    }
    check_reached(held.and_then(|held| held.reached.as_ref()));
    let caller = IpAddr::V4(Ipv4Addr::new(10, 0, 0, who % 8));
    joins.count(now, caller, hello.slot).ok()?;
    Some(hello)
}

/// Nothing that is heard is longer than it may be, or further than the run goes.
fn check(message: &Message) {
    match message {
        Message::Heartbeat(heartbeat) => {
            let reached = Reached { step: heartbeat.step, epochs: heartbeat.epoch, ended: false };
            check_reached(Some(&reached));
            assert!(heartbeat.images_per_second.is_finite(), "{heartbeat:?}");
            assert!(heartbeat.collective_share.is_finite(), "{heartbeat:?}");
            assert!(heartbeat.phase.len() <= 256);
        }
        Message::Finished(finished) => check_reached(finished.reached.as_ref()),
        Message::Left(left) => {
            check_reached(left.reached.as_ref());
            assert!(left.reason.len() <= LONGEST_REASON);
        }
        Message::Failed(failed) => {
            check_reached(failed.reached.as_ref());
            assert!(failed.reason.len() <= LONGEST_REASON);
        }
        Message::Contacted(contacted) => {
            let is_short = |attempt: &Attempt| attempt.failure.len() <= LONGEST_REASON;
            assert!(contacted.attempts.iter().all(is_short));
        }
        Message::Leaving(leaving) => assert!(leaving.reason.len() <= LONGEST_REASON),
        Message::Hello(_) | Message::Pong(_) => {}
    }
}

fn check_reached(reached: Option<&Reached>) {
    let Some(reached) = reached else { return };
    assert!(reached.step <= EPOCHS * STEPS_PER_EPOCH && reached.epochs <= EPOCHS, "{reached:?}");
}

fn rules() -> Rules {
    Rules {
        run: IDENTITY.to_string(),
        workers: 2,
        min_workers: 1,
        max_workers: 4,
        logical_shards: 3,
        max_generations: 100,
        spawning: Spawning::ByHand,
        hardware: HardwareRule::Alike,
        timing: Timing::default(),
    }
}
