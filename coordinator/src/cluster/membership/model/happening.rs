//! What may happen to workers, and what it does to them before the state machine hears of it.

use std::time::Duration;

use common::ids::Slot;
use proptest::prelude::*;

use super::super::event::{Event, SessionId};
use super::super::tests::{SECOND, join};
use super::super::worker::{Join, Report};
use super::world::{Worker, World, identity};

/// What happens next.
#[derive(Clone, Debug)]
pub enum Happening {
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
    /// The way between two slots' machines is lost.
    Cut(u32, u32),
    /// All ways are open again.
    Mend,
    /// Everybody and the coordinator sleep for so many seconds.
    Sleep(u8),
    Drain(u32),
    Scale(u32),
    /// A worker asks for a slot that is taken, and its holder answers or not.
    Intrude(u32, bool),
    /// Seconds pass, and these slots are heard.
    Pass(u8, u8),
}

/// Anything that may.
pub fn happening() -> impl Strategy<Value = Happening> {
    let slot = 0u32..5;
    prop_oneof![
        4 => slot.clone().prop_map(Happening::Join),
        2 => Just(Happening::JoinAnywhere),
        2 => slot.clone().prop_map(Happening::Die),
        1 => slot.clone().prop_map(Happening::ComeBack),
        6 => Just(Happening::Step),
        1 => slot.clone().prop_map(Happening::HalfStep),
        1 => slot.clone().prop_map(Happening::Break),
        1 => (slot.clone(), slot.clone()).prop_map(|(one, other)| Happening::Cut(one, other)),
        1 => Just(Happening::Mend),
        1 => (3u8..60).prop_map(Happening::Sleep),
        1 => slot.clone().prop_map(Happening::Drain),
        1 => (1u32..6).prop_map(Happening::Scale),
        1 => (slot, any::<bool>()).prop_map(|(slot, answers)| Happening::Intrude(slot, answers)),
        2 => (1u8..8, any::<u8>()).prop_map(|(seconds, heard)| Happening::Pass(seconds, heard)),
    ]
}

impl World {
    /// It happens.
    pub fn happen(&mut self, happening: Happening) {
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
            Happening::Cut(one, other) => {
                self.cut.insert((one.min(other), one.max(other)));
            }
            Happening::Mend => {
                self.cut.clear();
                self.try_all();
            }
            Happening::Sleep(seconds) => {
                let slept = u32::from(seconds) * SECOND;
                self.now += slept;
                self.apply(Event::Woke { slept });
                self.apply(Event::Tick);
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
        let is_cut = |one: &u32| members.iter().any(|other| self.is_cut(*one, *other));
        if members.iter().any(is_cut) {
            // Their exchanges break.
            for slot in members {
                if let Some(worker) = self.workers.get(&slot) {
                    self.leave(worker.session, true);
                }
            }
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
        self.try_all();
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
    pub fn recover(&mut self) {
        self.happen(Happening::Mend);
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
