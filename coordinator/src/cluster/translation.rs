//! What the messages of a session mean to `membership`, and what its decisions are in messages.
//!
//! `service::session`, `seat` and `dispatch` call it. Pure.

use std::sync::Arc;
use std::time::Duration;

use common::computing::Computing;
use common::ids::{Generation, Rank};
use proto::worker_message::Message;
use proto::{Contact, Failed, Hello, Start};

use super::books::Beginning;
use super::membership::{
    Attempt, Begin, Event, Held, Identity, Origin, Peer, Place, Reached, Report, SessionId,
};

/// What a worker says that it is.
pub fn identity(hello: &Hello) -> Identity {
    Identity {
        host: hello.advertise.clone(),
        // What is no address cannot be tried.
        listens_at: hello.listens_at.iter().filter_map(|address| address.parse().ok()).collect(),
        answer: hello.answer,
        device: hello.device.clone(),
        computing: Arc::new(Computing {
            // What is no proof proves nothing.
            proof: hello.proof.parse().ok(),
            hardware: hello.hardware.clone(),
            kernels: hello.kernels,
            libtorch: hello.libtorch_version.clone(),
            variables: hello.variables.clone(),
        }),
        program_version: hello.program_version.clone(),
        process_id: hello.process_id,
        incarnation: hello.incarnation,
        machine: hello.machine.clone(),
    }
}

/// The state that a worker says to keep.
pub fn held(hello: &Hello) -> Option<Held> {
    let held = hello.held.clone()?;
    Some(Held {
        run: held.run,
        generation: Generation(held.generation),
        reached: reached(held.reached.unwrap_or_default()),
    })
}

/// What a worker's message means; none for a second Hello.
pub fn event(session: SessionId, message: Message) -> Option<Event> {
    Some(match message {
        Message::Hello(_) => return None,
        Message::Heartbeat(heartbeat) => Event::Heard {
            session,
            report: Report {
                generation: Generation(heartbeat.generation),
                phase: heartbeat.phase,
                epoch: heartbeat.epoch,
                step: heartbeat.step,
                images_per_second: heartbeat.images_per_second,
                memory_bytes: heartbeat.memory_bytes,
                collective_share: heartbeat.collective_share,
            },
        },
        Message::Pong(_) => Event::Answered { session },
        Message::Finished(finished) => Event::Finished {
            session,
            generation: Generation(finished.generation),
            stopped: finished.stopped,
            reached: reached(finished.reached.unwrap_or_default()),
        },
        Message::Failed(failed) => {
            let Failed { reason, ends_run, reached: kept, generation: _, diverged: _ } = failed;
            Event::Failed { session, reason, ends_run, reached: kept.map(reached) }
        }
        Message::Contacted(contacted) => Event::Contacted {
            session,
            attempts: contacted.attempts.into_iter().map(attempt).collect(),
        },
        Message::Left(left) => Event::Left {
            session,
            generation: Generation(left.generation),
            reached: left.reached.map(reached),
            broken: left.broken,
            reason: left.reason,
        },
        Message::Leaving(leaving) => Event::Leaving { session, reason: leaving.reason },
    })
}

/// What came of trying to reach a worker.
fn attempt(attempt: proto::Attempt) -> Attempt {
    let outcome = match attempt.answered.is_empty() {
        true => Err(attempt.failure),
        false => Ok(attempt.answered.into_iter().map(|index| index as usize).collect()),
    };
    Attempt { peer: SessionId(attempt.session), outcome }
}

/// An order to try to reach workers.
pub fn contact(peers: Vec<Peer>, every: Duration) -> Contact {
    let peer = |peer: Peer| proto::Peer {
        session: peer.session.0,
        listens_at: peer.listens_at.iter().map(ToString::to_string).collect(),
        answer: peer.answer,
    };
    let interval_ms = every.as_millis() as u64;
    Contact { peers: peers.into_iter().map(peer).collect(), interval_ms }
}

/// What a member of a generation is told, on top of `start`, which all are.
pub fn start_of(start: Start, begin: &Begin, place: &Place, beginning: &Beginning) -> Start {
    let (source_rank, lacking) = match &begin.origin {
        Origin::Stored => (0, Vec::new()),
        Origin::Member { source, lacking, .. } => (source.0, told_to(place.rank, *source, lacking)),
    };
    let proof = begin.computing.as_ref().and_then(|computing| computing.proof);
    Start {
        generation: begin.generation.0,
        rank: place.rank.0,
        world_size: begin.world_size().0,
        start_from: beginning.start_from.into(),
        source_rank,
        lacking,
        pictures_from: beginning.pictures_from,
        local_rank: place.local.rank,
        local_world_size: place.local.world_size,
        address: place.address.map(|address| address.to_string()).unwrap_or_default(),
        only_store: begin.only_stores,
        proof: proof.map(|proof| proof.to_string()).unwrap_or_default(),
        ..start
    }
}

/// Which of the ranks that lack the state a member has to know: the source all of them, any other whether it is one of
/// them and whether there is any. There may be thousands.
fn told_to(rank: Rank, source: Rank, lacking: &[Rank]) -> Vec<u32> {
    if rank == source {
        return lacking.iter().map(|rank| rank.0).collect();
    }
    let own = lacking.binary_search(&rank).ok().map(|index| lacking[index]);
    own.or(lacking.first().copied()).map(|rank| rank.0).into_iter().collect()
}

/// How far a state has got.
fn reached(message: proto::Reached) -> Reached {
    let proto::Reached { step, epochs, ended } = message;
    Reached { step, epochs, ended }
}
