//! The state of the membership, and each event to the file that deals with it.
//!
//! `cluster` feeds it. Its fields are the other files' here, and nobody else's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use common::computing::Computing;
use common::ids::{Generation, Rank, Slot};

use super::contacts::{Asked, Contact};
use super::event::{Decision, Event, Outcome, SessionId};
use super::pausing::Pausing;
use super::rules::{Rules, Spawning};
use super::worker::{Identity, Join, Reached, Report};

/// What a coordinator knows of the run's earlier generations when it starts.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// The last generation that was started, 0 for none.
    pub generation: Generation,
    /// Its members, where they may still live and hold the run's state: the coordinator before this one was killed.
    pub survivors: BTreeSet<Slot>,
    /// What its members computed with, where that is known.
    pub computing: Option<Arc<Computing>>,
}

/// The state: slots, their holders, and how far the run's life has got.
#[derive(Debug)]
pub struct Membership {
    pub(super) rules: Rules,
    pub(super) phase: Phase,
    /// A wish to end early, and until when members may store their state.
    pub(super) stop: Option<Stop>,
    /// The last generation that was started; 0 before the first.
    pub(super) generation: Generation,
    /// Holders of slots.
    pub(super) members: BTreeMap<Slot, Member>,
    /// The slot each session holds or asks for.
    pub(super) slot_of: HashMap<SessionId, Slot>,
    /// Slots that a second worker asks for, while their holder is being probed.
    pub(super) probes: BTreeMap<Slot, Probe>,
    /// Lost members of the last generation that may live and hold its state: what they are, where that is known.
    pub(super) absent: BTreeMap<Slot, Option<Identity>>,
    /// Until when they are waited for, where no member holds the state.
    pub(super) awaited_until: Option<Duration>,
    /// Slots whose workers were let go and are not to be started again.
    pub(super) released: BTreeSet<Slot>,
    /// Slots whose worker was lost and whose process has not yet been found to have ended.
    pub(super) departed: BTreeSet<Slot>,
    /// How often a started worker of a slot ended before it joined, since it last did.
    pub(super) early_exits: BTreeMap<Slot, u32>,
    /// How often the workers of each slot have failed since a step was last done.
    pub(super) futile: BTreeMap<Slot, u32>,
    /// How many workers the run shall have; it may go on with fewer.
    pub(super) wanted: u32,
    /// How many it may have.
    pub(super) limit: u32,
    /// Generations that ended by a loss.
    pub(super) losses: u64,
    /// Since when the first generation could be started with fewer workers than wanted.
    pub(super) enough_since: Option<Duration>,
    /// A member of the last generation was lost in it: that its others have finished does not end the run.
    pub(super) broken: bool,
    /// Why the next generation is formed.
    pub(super) cause: String,
    /// The newest checkpoint, in words, and the steps that are done in it.
    pub(super) last_checkpoint: (Option<String>, u64),
    /// Generations that made no step, and the pause after them.
    pub(super) pausing: Pausing,
    /// What the run has been computed with so far, where members have to be alike.
    pub(super) computing: Option<Arc<Computing>>,
}

/// How far the run's life has got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Members gather, or leave the last generation.
    Forming,
    Training,
    Ended(Outcome),
}

#[derive(Clone, Debug)]
pub(super) struct Stop {
    pub(super) reason: String,
    pub(super) deadline: Duration,
    /// The run ends by a failure as soon as its newest state is stored.
    pub(super) failure: Option<Failure>,
}

/// Why a run ends, and whose failure that is, where it is a worker's.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) cause: String,
    pub(super) slot: Option<Slot>,
}

/// The holder of a slot.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) session: SessionId,
    pub(super) identity: Identity,
    /// In the running generation, or in the last one.
    pub(super) rank: Option<Rank>,
    pub(super) last_heard: Duration,
    pub(super) report: Report,
    pub(super) standing: Standing,
    /// How far the state has got that it holds, where that is of the last generation and it has left that.
    pub(super) holds: Option<Reached>,
    /// It is to be let go.
    pub(super) draining: bool,
    /// Whom it was told to try to reach, and what is known of the ways to the others.
    pub(super) asked: Asked,
    pub(super) contacts: HashMap<SessionId, Contact>,
    /// It has been in a generation that made a step.
    pub(super) proven: bool,
    /// Why it is left out where the others are enough.
    pub(super) suspect: Option<String>,
    /// Why it takes no part, as far as that was told.
    pub(super) aside: Option<String>,
}

/// What a member does in the running generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing: a newcomer, a spare, or out of the last generation.
    Waiting,
    Working,
    /// It was told to leave the generation, and has to until then.
    Leaving {
        deadline: Duration,
    },
    /// Done, after a stop or at the run's end.
    Finished {
        stopped: bool,
    },
}

/// A ping on its way to a slot's holder, and the worker that waits for its outcome.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) candidate: Join,
    pub(super) deadline: Duration,
}

impl Membership {
    /// Nobody is there yet.
    pub fn new(rules: Rules, past: Past) -> Self {
        Self {
            phase: Phase::Forming,
            stop: None,
            generation: past.generation,
            members: BTreeMap::new(),
            slot_of: HashMap::new(),
            probes: BTreeMap::new(),
            absent: past.survivors.into_iter().map(|slot| (slot, None)).collect(),
            awaited_until: None,
            released: BTreeSet::new(),
            departed: BTreeSet::new(),
            early_exits: BTreeMap::new(),
            futile: BTreeMap::new(),
            wanted: rules.workers,
            limit: rules.max_workers,
            losses: 0,
            enough_since: None,
            broken: false,
            cause: "enough workers are here".to_string(),
            last_checkpoint: (None, 0),
            pausing: Pausing::default(),
            computing: past.computing,
            rules,
        }
    }

    /// Takes one event in and says what follows from it. `now` never goes backwards.
    pub fn apply(&mut self, now: Duration, event: Event) -> Vec<Decision> {
        match event {
            Event::Joined(join) => self.join(now, join),
            Event::Heard { session, report } => self.heard(now, session, report),
            Event::Answered { session } => self.answered(now, session),
            Event::Left { session, generation, reached, broken, reason } => {
                self.left(now, session, generation, Departure { reached, broken, reason })
            }
            Event::Leaving { session, reason } => self.wants_to_leave(now, session, &reason),
            Event::Finished { session, generation, stopped, reached } => {
                self.finished(now, session, generation, FinishedAt { stopped, reached })
            }
            Event::Failed { session, reason, ends_run, reached } => {
                self.failed(now, session, &reason, (ends_run, reached))
            }
            Event::Contacted { session, attempts } => self.contacted(now, session, attempts),
            Event::SessionEnded { session, how } => self.session_ended(now, session, &how),
            Event::ProcessEnded { slot, process, how } => {
                self.process_ended(now, slot, process, &how)
            }
            Event::StopRequested { reason } => self.stop(now, reason),
            Event::DrainRequested { slot } => self.drain(now, slot, "drained by the operator"),
            Event::ScaleRequested { workers } => self.scale(now, workers),
            Event::StorageFailed { reason } => self.fail_at_once(&reason, None),
            Event::CheckpointStored { description, step } => {
                self.last_checkpoint = (Some(description), step);
                Vec::new()
            }
            Event::Woke { slept } => self.woke(now, slept),
            Event::Tick => self.tick(now),
        }
    }

    /// The last generation that was started; 0 before the first.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Whether a session is that of a member of the running generation.
    pub fn is_at_work(&self, session: SessionId) -> bool {
        let member = self.slot_of.get(&session).and_then(|slot| self.members.get(slot));
        member.is_some_and(|member| member.session == session && member.is_in_generation())
    }

    /// Generations that ended by a loss.
    pub fn losses(&self) -> u64 {
        self.losses
    }

    /// Process ids of the members, each on its machine.
    pub fn processes(&self) -> BTreeSet<u32> {
        self.members.values().map(|member| member.identity.process_id).collect()
    }

    /// Workers that the run shall have and that are not here. Those that the coordinator starts it also ends.
    pub fn missing(&self) -> usize {
        match self.rules.spawning {
            Spawning::Spawned => 0,
            Spawning::ByHand => (self.wanted as usize).saturating_sub(self.members.len()),
        }
    }

    fn heard(&mut self, now: Duration, session: SessionId, report: Report) -> Vec<Decision> {
        let generation = self.generation;
        if let Some(member) = self.member(session) {
            member.last_heard = now;
            if report.generation == generation {
                let done = report.step;
                member.report = report;
                self.notice_steps(done);
            }
        }
        Vec::new()
    }

    /// The member that a session belongs to, unless the session only asks for a slot.
    pub(super) fn member(&mut self, session: SessionId) -> Option<&mut Member> {
        let slot = self.slot_of.get(&session)?;
        self.members.get_mut(slot).filter(|member| member.session == session)
    }

    /// The slot that a session holds.
    pub(super) fn slot_held_by(&mut self, session: SessionId) -> Option<Slot> {
        self.member(session)?;
        self.slot_of.get(&session).copied()
    }

    fn tick(&mut self, now: Duration) -> Vec<Decision> {
        if self.has_ended() {
            return Vec::new();
        }
        let mut decisions = self.settle_probes(now);
        decisions.extend(self.notice_silence(now));
        decisions.extend(self.enforce_stop(now));
        decisions.extend(self.take_in_spares(now));
        decisions.extend(self.try_start(now));
        decisions
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    /// A member as messages name it.
    pub(super) fn name(&self, slot: Slot) -> String {
        let host = self.members.get(&slot).map(|member| format!(" on {}", member.identity.host));
        format!("rank {slot}{}", host.unwrap_or_default())
    }
}

/// How a member has left its generation.
pub(super) struct Departure {
    pub(super) reached: Option<Reached>,
    pub(super) broken: bool,
    pub(super) reason: String,
}

/// Where a member has finished.
pub(super) struct FinishedAt {
    pub(super) stopped: bool,
    pub(super) reached: Reached,
}

impl Member {
    pub(super) fn is_in_generation(&self) -> bool {
        matches!(self.standing, Standing::Working | Standing::Leaving { .. })
    }
}
