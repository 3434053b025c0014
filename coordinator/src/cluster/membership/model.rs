//! The state machine under random events, with workers that keep to the rules: whatever happens, there are never two
//! live generations, no rank twice, no step lost or done twice, and a run goes on whenever enough workers live.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::tests::{SECOND, join, rules};
use super::*;

/// What happens next.
#[derive(Clone, Debug)]
enum Happening {
    /// A worker without a state asks for a slot.
    Join(u32),
    /// A worker without a state asks for any slot.
    JoinAnywhere,
    /// A worker dies, and its connection with it.
    Die(u32),
    /// A worker loses its connection, leaves its generation, and comes back with its state.
    ComeBack(u32),
    /// The members of the running generation do a step.
    Step,
    /// They do a step, but only this one knows.
    HalfStep(u32),
    /// A worker's exchanges break.
    Break(u32),
    Drain(u32),
    Scale(u32),
    /// A worker asks for a slot that is taken, and its holder answers or not.
    Intrude(u32, bool),
    /// Seconds pass, and these slots are heard.
    Pass(u8, u8),
}

fn happening() -> impl Strategy<Value = Happening> {
    let slot = 0u32..5;
    prop_oneof![
        4 => slot.clone().prop_map(Happening::Join),
        2 => Just(Happening::JoinAnywhere),
        2 => slot.clone().prop_map(Happening::Die),
        1 => slot.clone().prop_map(Happening::ComeBack),
        6 => Just(Happening::Step),
        1 => slot.clone().prop_map(Happening::HalfStep),
        1 => slot.clone().prop_map(Happening::Break),
        1 => slot.clone().prop_map(Happening::Drain),
        1 => (1u32..6).prop_map(Happening::Scale),
        1 => (slot, any::<bool>()).prop_map(|(slot, answers)| Happening::Intrude(slot, answers)),
        2 => (1u8..8, any::<u8>()).prop_map(|(seconds, heard)| Happening::Pass(seconds, heard)),
    ]
}

/// A worker process: what it holds and where it is.
#[derive(Clone, Debug)]
struct Worker {
    session: SessionId,
    process: u32,
    /// Generation and step of the state in its memory.
    state: Option<(Generation, u64)>,
    /// The generation that it computes in.
    at_work: Option<Generation>,
}

/// All there is outside the state machine.
struct World {
    membership: Membership,
    now: Duration,
    workers: BTreeMap<u32, Worker>,
    sessions: u64,
    /// Steps of the run that are done, and the last generation.
    done: u64,
    generation: Generation,
    ended: bool,
    /// Generations that began.
    began: Vec<Generation>,
    /// A worker that waits for the slot it is given.
    placeless: Option<Worker>,
    /// What follows from decisions, and whether it is being worked off.
    events: VecDeque<Event>,
    busy: bool,
}

impl World {
    fn new(rules: Rules) -> Self {
        Self {
            membership: Membership::new(rules, Past::default()),
            now: Duration::ZERO,
            workers: BTreeMap::new(),
            sessions: 0,
            done: 0,
            generation: Generation(0),
            ended: false,
            began: Vec::new(),
            placeless: None,
            events: VecDeque::new(),
            busy: false,
        }
    }

    /// Applies an event, and then what follows from it.
    fn apply(&mut self, event: Event) {
        self.events.push_back(event);
        if std::mem::replace(&mut self.busy, true) {
            return;
        }
        while let Some(event) = self.events.pop_front() {
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
            Decision::Ping { .. }
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
    fn leave(&mut self, session: SessionId, broken: bool) {
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

    fn join(&mut self, slot: u32, held: Option<(Generation, u64)>, process: u32) {
        self.sessions += 1;
        let session = SessionId(self.sessions);
        let worker = Worker { session, process, state: held, at_work: None };
        self.workers.insert(slot, worker);
        let mut join = join(self.sessions, slot);
        join.identity = identity(process);
        join.held = held.map(|(generation, step)| Held {
            run: "this run".to_string(),
            generation,
            reached: Reached { step, ..Reached::default() },
        });
        self.apply(Event::Joined(join));
    }

    fn join_anywhere(&mut self) {
        self.sessions += 1;
        // A process that no other worker is.
        let (session, process) = (SessionId(self.sessions), 100_000 + self.sessions as u32);
        self.placeless = Some(Worker { session, process, state: None, at_work: None });
        let mut join = Join { slot: None, ..join(self.sessions, 0) };
        join.identity = identity(process);
        self.apply(Event::Joined(join));
        let is_refused = self.placeless.take().is_some();
        let Membership { members, limit, .. } = &self.membership;
        assert!(!is_refused || self.ended || members.len() >= *limit as usize, "there was room");
    }

    fn happen(&mut self, happening: Happening) {
        self.now += Duration::from_millis(10);
        match happening {
            Happening::Join(slot) if !self.workers.contains_key(&slot) => {
                let process = 1000 + self.sessions as u32;
                self.join(slot, None, process);
            }
            Happening::JoinAnywhere => self.join_anywhere(),
            Happening::Die(slot) => {
                if let Some(worker) = self.workers.remove(&slot) {
                    let how = "died".to_string();
                    self.apply(Event::SessionEnded { session: worker.session, how });
                }
            }
            Happening::ComeBack(slot) => {
                if let Some(worker) = self.workers.remove(&slot) {
                    self.join(slot, worker.state, worker.process);
                }
            }
            Happening::Step => self.step(None),
            Happening::HalfStep(slot) => self.step(Some(slot)),
            Happening::Break(slot) => {
                if let Some(worker) = self.workers.get(&slot) {
                    self.leave(worker.session, true);
                }
            }
            Happening::Drain(slot) => self.apply(Event::DrainRequested { slot: Slot(slot) }),
            Happening::Scale(workers) => self.apply(Event::ScaleRequested { workers }),
            Happening::Intrude(slot, answers) => self.intrude(slot, answers),
            Happening::Pass(seconds, heard) => {
                for _ in 0..seconds {
                    self.pass_a_second(heard);
                }
            }
            Happening::Join(_) => {}
        }
    }

    /// A step is committed only by all: a generation that lacks a member does none.
    fn step(&mut self, only: Option<u32>) {
        let generation = self.membership.generation();
        let at_work = |worker: &Worker| worker.at_work == Some(generation);
        let members: Vec<u32> =
            self.workers.iter().filter(|(_, w)| at_work(w)).map(|(slot, _)| *slot).collect();
        let whole =
            self.began.last() == Some(&generation) && members.len() == self.size_of_generation();
        if !whole || members.is_empty() {
            return;
        }
        let next = self.done + 1;
        for slot in &members {
            // All have what they need; one that does not know of the others yet may be all that is left.
            if only.is_none_or(|only| only == *slot) {
                self.workers.get_mut(slot).expect("a member").state = Some((generation, next));
            }
        }
        if only.is_none() {
            self.done = next;
            for slot in members {
                let session = self.workers[&slot].session;
                let report = Report { generation, step: next, ..Report::default() };
                self.apply(Event::Heard { session, report });
            }
        } else {
            // Its peers did not finish: the generation is broken.
            for slot in members {
                if let Some(worker) = self.workers.get(&slot) {
                    self.leave(worker.session, true);
                }
            }
        }
    }

    fn size_of_generation(&self) -> usize {
        let members = self.membership.members.values();
        members.filter(|member| member.is_in_generation()).count()
    }

    fn intrude(&mut self, slot: u32, answers: bool) {
        let Some(holder) = self.workers.get(&slot).cloned() else { return };
        self.sessions += 1;
        let session = SessionId(self.sessions);
        let identity = identity(self.sessions as u32);
        self.apply(Event::Joined(Join { identity, ..join(self.sessions, slot) }));
        if answers {
            self.apply(Event::Answered { session: holder.session });
        } else {
            self.now += 3 * SECOND;
            self.workers.remove(&slot);
            let process = self.sessions as u32;
            let worker = Worker { session, process, state: None, at_work: None };
            self.workers.insert(slot, worker);
            self.apply(Event::Tick);
            if !self.membership.slot_of.contains_key(&session) {
                self.workers.remove(&slot);
            }
        }
    }

    fn pass_a_second(&mut self, heard: u8) {
        self.now += SECOND;
        let living: Vec<(u32, SessionId)> =
            self.workers.iter().map(|(slot, worker)| (*slot, worker.session)).collect();
        for (slot, session) in living {
            if heard & (1 << slot) != 0 {
                self.apply(Event::Heard { session, report: Report::default() });
            }
        }
        self.apply(Event::Tick);
    }

    /// All silent workers are gone or heard again; enough come: the run must go on.
    fn recover(&mut self) {
        for _ in 0..12 {
            self.pass_a_second(0xff);
        }
        // Who was to be let go but held the only state goes when the first of these have it.
        for _ in 0..2 {
            for slot in 0..self.membership.limit {
                if !self.workers.contains_key(&slot) && !self.ended {
                    let process = 1000 + self.sessions as u32;
                    self.join(slot, None, process);
                }
            }
            for _ in 0..45 {
                self.pass_a_second(0xff);
            }
        }
    }
}

/// All on one host, where a process is told by its number.
fn identity(process_id: u32) -> Identity {
    Identity { host: "host".to_string(), process_id, ..Identity::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn whatever_happens_membership_stays_sound_and_the_run_goes_on(
        workers in 1u32..5,
        fewer in 0u32..4,
        shards in 1u32..6,
        happenings in prop::collection::vec(happening(), 1..60),
    ) {
        let rules = Rules {
            min_workers: workers.saturating_sub(fewer).max(1),
            max_workers: 5,
            logical_shards: shards,
            max_generations: 1000,
            ..rules(workers)
        };
        let mut world = World::new(rules);
        for happening in happenings {
            world.happen(happening);
        }
        world.recover();
        prop_assert!(!world.ended);
        prop_assert_eq!(&world.membership.phase, &Phase::Training, "{:?}", world.membership);
        let before = world.done;
        world.happen(Happening::Step);
        prop_assert_eq!(world.done, before + 1);
    }
}
