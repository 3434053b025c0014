//! Who takes part in the run, as a pure state machine: `(now, state, event) → (state', decisions)`.
//!
//! - `event`: what happens to it ([`Event`]) and what it decides ([`Decision`]);
//! - `admission`: who may join, and the probe of a slot's holder;
//! - `ending`: losses, stops, completion.
//!
//! `cluster` feeds it and carries its decisions out. It never does I/O, never reads a clock (`now` is an argument,
//! counted from the coordinator's start) and is the only place that decides about members. For now the loss of a
//! member ends the run; generations are numbered already, so that a loss can lead to the next one.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use common::ids::{Generation, Rank, Slot, WorldSize};

mod admission;
mod ending;
mod event;
#[cfg(test)]
mod tests;
mod view;

pub use event::{Decision, Event, Identity, Join, Outcome, Report, SessionId, StartOrder};
pub use view::{MemberView, View};

/// What membership is decided by, fixed for the run.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Slots to fill before the first generation starts.
    pub workers: u32,
    /// Which workers may compute together.
    pub hardware: HardwareRule,
    /// How long each wait may last.
    pub timing: Timing,
}

/// Which workers may compute together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HardwareRule {
    /// One kind of hardware and one libtorch: the promise of equal bits needs it.
    Uniform,
    /// Any mixture.
    Mixed,
}

/// How long each wait may last.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// A member unheard for longer is lost.
    pub heartbeat_timeout: Duration,
    /// A slot's holder must answer a ping within this when another worker asks for the slot.
    pub probe_timeout: Duration,
    /// After a worker reports a lost peer: how long to wait for news of which one, and why.
    pub cause_grace: Duration,
    /// After a stop: how long members may take to store their state.
    pub stop_timeout: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat_timeout: Duration::from_secs(10),
            probe_timeout: Duration::from_secs(2),
            cause_grace: Duration::from_secs(2),
            stop_timeout: Duration::from_secs(30),
        }
    }
}

/// The state: slots, their holders, and how far the run's life has got.
#[derive(Debug)]
pub struct Membership {
    rules: Rules,
    phase: Phase,
    /// The running generation; 0 before the first.
    generation: Generation,
    /// Holders of slots.
    members: BTreeMap<Slot, Member>,
    /// The slot each session holds or asks for.
    slot_of: HashMap<SessionId, Slot>,
    /// Slots that a second worker asks for, while their holder is being probed.
    probes: BTreeMap<Slot, Probe>,
    /// A reported loss whose culprit is not known yet.
    suspicion: Option<Suspicion>,
    /// The newest checkpoint, in words.
    last_checkpoint: Option<String>,
}

/// How far the run's life has got.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    Training,
    Stopping { reason: String, deadline: Duration },
    Ended(Outcome),
}

/// The holder of a slot.
#[derive(Debug)]
struct Member {
    session: SessionId,
    identity: Identity,
    rank: Option<Rank>,
    last_heard: Duration,
    report: Report,
    progress: Progress,
}

/// How far a member has got with its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Working,
    /// Could not go on because a peer was lost.
    LostPeer,
    /// Done, after a stop or at the run's end.
    Finished {
        stopped: bool,
    },
}

/// A ping on its way to a slot's holder, and the worker that waits for its outcome.
#[derive(Debug)]
struct Probe {
    candidate: Join,
    deadline: Duration,
}

/// A loss that a member noticed through its collective.
#[derive(Debug)]
struct Suspicion {
    reporter: Slot,
    reason: String,
    deadline: Duration,
}

impl Membership {
    /// Nobody is there yet.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            phase: Phase::Waiting,
            generation: Generation(0),
            members: BTreeMap::new(),
            slot_of: HashMap::new(),
            probes: BTreeMap::new(),
            suspicion: None,
            last_checkpoint: None,
        }
    }

    /// Takes one event in and says what follows from it. `now` never goes backwards.
    pub fn apply(&mut self, now: Duration, event: Event) -> Vec<Decision> {
        match event {
            Event::Joined(join) => self.join(now, join),
            Event::Heard { session, report } => self.heard(now, session, report),
            Event::Answered { session } => self.answered(now, session),
            Event::Finished { session, generation, stopped } => {
                self.finished(session, generation, stopped)
            }
            Event::Failed { session, reason } => self.failed(session, &reason),
            Event::LostPeer { session, reason } => self.lost_peer(now, session, reason),
            Event::SessionEnded { session, how } => self.session_ended(now, session, &how),
            Event::ProcessEnded { slot, how } => self.process_ended(slot, &how),
            Event::StopRequested { reason } => self.stop(now, reason),
            Event::StorageFailed { reason } => self.fail(&reason, None),
            Event::CheckpointStored { description } => {
                self.last_checkpoint = Some(description);
                Vec::new()
            }
            Event::Tick => self.tick(now),
        }
    }

    /// The running generation; 0 before the first.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Numbers the members densely in slot order and starts the next generation.
    fn start_generation(&mut self) -> Vec<Decision> {
        self.generation = Generation(self.generation.0 + 1);
        self.phase = Phase::Training;
        let generation = self.generation;
        let world_size = WorldSize(self.members.len() as u32);
        let ranked = self.members.values_mut().zip(world_size.ranks());
        let orders = ranked.map(|(member, rank)| {
            member.rank = Some(rank);
            let order = StartOrder { generation, rank, world_size };
            Decision::Start { session: member.session, order }
        });
        orders.collect()
    }

    fn heard(&mut self, now: Duration, session: SessionId, report: Report) -> Vec<Decision> {
        let generation = self.generation;
        if let Some(member) = self.member(session) {
            member.last_heard = now;
            if report.generation == generation {
                member.report = report;
            }
        }
        Vec::new()
    }

    /// The member that a session belongs to, unless the session only asks for a slot.
    fn member(&mut self, session: SessionId) -> Option<&mut Member> {
        let slot = self.slot_of.get(&session)?;
        self.members.get_mut(slot).filter(|member| member.session == session)
    }

    fn tick(&mut self, now: Duration) -> Vec<Decision> {
        let mut decisions = self.settle_probes(now);
        decisions.extend(self.notice_silence(now));
        decisions.extend(self.settle_suspicion(now));
        decisions.extend(self.enforce_stop(now));
        decisions
    }

    fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }
}
