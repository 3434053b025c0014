//! Sessions: whatever workers say in whatever order, the state machine goes on.

#![no_main]

use std::time::Duration;

use common::ids::Slot;
use coordinator::membership::{
    Event, HardwareRule, Join, Membership, Past, Rules, SessionId, Spawning, Timing,
};
use coordinator::translation::{event, held, identity};
use fuzz::pieces;
use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use proto::WorkerMessage;
use proto::worker_message::Message;

fuzz_target!(|data: &[u8]| {
    let mut membership = Membership::new(rules(), Past::default());
    let mut now = Duration::ZERO;
    for piece in pieces(data) {
        // Who speaks, and how long after the one before, in tenths of a second; then what.
        let Some((&[session, delay], body)) = piece.split_first_chunk() else { continue };
        now += Duration::from_millis(100) * u32::from(delay);
        let session = SessionId(u64::from(session % 8));
        let event = match WorkerMessage::decode(body).ok().and_then(|words| words.message) {
            Some(Message::Hello(hello)) => Event::Joined(Join {
                session,
                slot: hello.slot.map(Slot),
                protocol_version: hello.protocol_version,
                identity: identity(&hello),
                held: held(&hello),
            }),
            Some(message) => match event(session, message) {
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

fn rules() -> Rules {
    Rules {
        run: "run".to_string(),
        workers: 2,
        min_workers: 1,
        max_workers: 4,
        logical_shards: 3,
        max_generations: 100,
        spawning: Spawning::ByHand,
        hardware: HardwareRule::Uniform,
        timing: Timing::default(),
    }
}
