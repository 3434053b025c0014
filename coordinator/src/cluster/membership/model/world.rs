//! Workers that keep to the rules, and what the state machine's decisions do to them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use common::ids::{Generation, Slot};

use super::super::contacts::Attempt;
use super::super::event::{Decision, Event, SessionId};
use super::super::generation::{Begin, Origin};
use super::super::rules::Rules;
use super::super::state::{Membership, Past};
use super::super::tests::join;
use super::super::worker::{Held, Identity, Join, Reached};

/// A worker process: what it holds and where it is.
#[derive(Clone, Debug)]
pub struct Worker {
    pub session: SessionId,
    pub process: u32,
    /// Generation and step of the state in its memory.
    pub state: Option<(Generation, u64)>,
    /// The generation that it computes in.
    pub at_work: Option<Generation>,
}

/// All there is outside the state machine.
pub struct World {
    pub membership: Membership,
    pub now: Duration,
    pub workers: BTreeMap<u32, Worker>,
    pub sessions: u64,
    /// Steps of the run that are done, and the last generation.
    pub done: u64,
    pub generation: Generation,
    pub ended: bool,
    /// Generations that began.
    pub began: Vec<Generation>,
    /// Slots between which no way leads, the lesser first.
    pub cut: BTreeSet<(u32, u32)>,
    /// Whom each worker tries to reach; none where they do not say where they listen.
    sought: BTreeMap<SessionId, Vec<SessionId>>,
    listening: bool,
    /// A worker that waits for the slot it is given.
    pub placeless: Option<Worker>,
    /// What follows from decisions, and whether it is being worked off.
    pub events: VecDeque<Event>,
    pub busy: bool,
}

impl World {
    pub fn new(rules: Rules, listening: bool) -> Self {
        Self {
            membership: Membership::new(rules, Past::default()),
            now: Duration::ZERO,
            workers: BTreeMap::new(),
            sessions: 0,
            done: 0,
            generation: Generation(0),
            ended: false,
            began: Vec::new(),
            cut: BTreeSet::new(),
            sought: BTreeMap::new(),
            listening,
            placeless: None,
            events: VecDeque::new(),
            busy: false,
        }
    }

    /// Applies an event, and then what follows from it.
    pub fn apply(&mut self, event: Event) {
        self.events.push_back(event);
        if std::mem::replace(&mut self.busy, true) {
            return;
        }
        let mut followed = 0;
        while let Some(event) = self.events.pop_front() {
            followed += 1;
            assert!(followed < 1000, "one event led to a thousand: {:?}", self.membership);
            for decision in self.membership.apply(self.now, event) {
                assert!(!self.ended || matches!(decision, Decision::Refuse { .. }), "{decision:?}");
                self.carry_out(decision);
            }
        }
        self.busy = false;
    }

    fn slot_of(&self, session: SessionId) -> Option<u32> {
        self.workers.iter().find(|(_, worker)| worker.session == session).map(|(slot, _)| *slot)
    }

    fn carry_out(&mut self, decision: Decision) {
        match decision {
            Decision::Begin(begin) => self.begin(&begin),
            Decision::Halt { session, .. } => self.leave(session, false),
            Decision::Stop { session, .. } => self.store_and_finish(session),
            Decision::Evict { session, .. } | Decision::Goodbye { session } => {
                if let Some(slot) = self.slot_of(session) {
                    self.workers.remove(&slot);
                }
            }
            Decision::Refuse { session, .. } => {
                if let Some(slot) = self.slot_of(session) {
                    self.workers.remove(&slot);
                }
            }
            Decision::Admit { session, slot } => self.take_in(session, slot),
            Decision::End(_) => self.ended = true,
            Decision::Contact { session, peers, .. } => {
                self.sought.insert(session, peers.into_iter().map(|peer| peer.session).collect());
                self.try_from(session);
            }
            Decision::Ping { .. }
            | Decision::SetAside { .. }
            | Decision::Abort { .. }
            | Decision::Lost(_)
            | Decision::Spawn { .. } => {}
        }
    }

    /// Who asked for no slot in particular gets one that nobody has.
    fn take_in(&mut self, session: SessionId, slot: Slot) {
        if let Some(worker) = self.placeless.take_if(|worker| worker.session == session) {
            let before = self.workers.insert(slot.0, worker);
            assert!(before.is_none(), "slot {slot} was given away");
        }
    }

    /// All try whom they seek.
    pub fn try_all(&mut self) {
        let trying: Vec<SessionId> = self.sought.keys().copied().collect();
        for session in trying {
            self.try_from(session);
        }
    }

    /// A worker tries whom it seeks, and says what comes of it.
    fn try_from(&mut self, session: SessionId) {
        let Some(own) = self.slot_of(session) else { return };
        let mut attempts = Vec::new();
        for peer in self.sought.remove(&session).unwrap_or_default() {
            let Some(slot) = self.slot_of(peer) else { continue };
            let outcome = match self.is_cut(own, slot) {
                true => Err("no route".to_string()),
                false => Ok(vec![0]),
            };
            if outcome.is_err() {
                self.sought.entry(session).or_default().push(peer);
            }
            attempts.push(Attempt { peer, outcome });
        }
        if !attempts.is_empty() {
            self.apply(Event::Contacted { session, attempts });
        }
    }

    pub fn is_cut(&self, one: u32, other: u32) -> bool {
        self.cut.contains(&(one.min(other), one.max(other)))
    }

    fn identity(&self, process_id: u32) -> Identity {
        let listens_at = match self.listening {
            true => vec![([10, 0, 0, 1], process_id as u16).into()],
            false => Vec::new(),
        };
        Identity { listens_at, ..identity(process_id) }
    }

    fn begin(&mut self, begin: &Begin) {
        assert!(begin.generation > self.generation, "generations go up");
        for place in &begin.members {
            let slot = self.slot_of(place.session).expect("members live");
            assert_eq!(self.workers[&slot].at_work, None, "slot {slot} is in two generations");
        }
        let slots: Vec<_> = begin.members.iter().map(|place| place.slot).collect();
        assert!(slots.is_sorted() && slots.iter().collect::<BTreeSet<_>>().len() == slots.len());
        assert!(!slots.is_empty());
        for (index, place) in begin.members.iter().enumerate() {
            assert_eq!(place.rank.index(), index, "ranks are dense, in slot order");
        }
        let step = match &begin.origin {
            Origin::Stored => 0,
            Origin::Member { source, reached, lacking } => {
                for place in &begin.members {
                    let slot = self.slot_of(place.session).expect("members live");
                    let has = self.workers[&slot].state == Some((self.generation, reached.step));
                    assert_eq!(has, !lacking.contains(&place.rank), "{begin:?}");
                    assert!(place.rank != *source || has, "the source has the state");
                }
                // Whatever one member has committed all can commit: nothing that is done is lost while one lives.
                assert!(reached.step >= self.done, "done steps are lost: {begin:?}");
                reached.step
            }
        };
        (self.generation, self.done) = (begin.generation, step);
        self.began.push(begin.generation);
        for place in &begin.members {
            let slot = self.slot_of(place.session).expect("members live");
            let worker = self.workers.get_mut(&slot).expect("it is there");
            worker.state = Some((begin.generation, step));
            worker.at_work = Some(begin.generation);
        }
    }

    /// A worker leaves its generation and says so.
    pub fn leave(&mut self, session: SessionId, broken: bool) {
        let Some(slot) = self.slot_of(session) else { return };
        let worker = self.workers.get_mut(&slot).expect("it is there");
        let Some(generation) = worker.at_work.take() else { return };
        let reached = worker.state.map(|(_, step)| Reached { step, ..Reached::default() });
        let reason = "why".to_string();
        self.apply(Event::Left { session, generation, reached, broken, reason });
    }

    /// The last worker goes: its state is stored, which this model takes for the beginning.
    fn store_and_finish(&mut self, session: SessionId) {
        let Some(slot) = self.slot_of(session) else { return };
        let worker = self.workers.get_mut(&slot).expect("it is there");
        let Some(generation) = worker.at_work.take() else { return };
        let step = worker.state.map_or(0, |(_, step)| step);
        let reached = Reached { step, ..Reached::default() };
        self.apply(Event::Finished { session, generation, stopped: true, reached });
    }

    pub fn join(&mut self, slot: u32, held: Option<(Generation, u64)>, process: u32) {
        self.sessions += 1;
        let session = SessionId(self.sessions);
        let worker = Worker { session, process, state: held, at_work: None };
        self.workers.insert(slot, worker);
        let mut join = join(self.sessions, slot);
        join.identity = self.identity(process);
        join.held = held.map(|(generation, step)| Held {
            run: "this run".to_string(),
            generation,
            reached: Reached { step, ..Reached::default() },
        });
        self.apply(Event::Joined(join));
    }

    pub fn join_anywhere(&mut self) {
        self.sessions += 1;
        // A process that no other worker is.
        let (session, process) = (SessionId(self.sessions), 100_000 + self.sessions as u32);
        self.placeless = Some(Worker { session, process, state: None, at_work: None });
        let mut join = Join { slot: None, ..join(self.sessions, 0) };
        join.identity = self.identity(process);
        self.apply(Event::Joined(join));
        let is_refused = self.placeless.take().is_some();
        let Membership { members, limit, .. } = &self.membership;
        assert!(!is_refused || self.ended || members.len() >= *limit as usize, "there was room");
    }
}

/// All on one host, where a process is told by its number.
pub fn identity(process_id: u32) -> Identity {
    Identity { host: "host".to_string(), process_id, ..Identity::default() }
}
