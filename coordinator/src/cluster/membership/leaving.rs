//! Members that are let go in order: drained one by one, or because the run shall have fewer.

use std::time::Duration;

use common::ids::Slot;

use super::event::{Decision, SessionId};
use super::forming::Haste;
use super::rules::Spawning;
use super::state::{Member, Membership, Phase, Standing};

impl Membership {
    /// A worker was told on its own machine to leave.
    pub(super) fn wants_to_leave(
        &mut self,
        now: Duration,
        session: SessionId,
        reason: &str,
    ) -> Vec<Decision> {
        match self.slot_held_by(session) {
            Some(slot) => self.drain(now, slot, reason),
            None => Vec::new(),
        }
    }

    /// Lets the worker in `slot` go: it finishes its step, the others go on without it.
    pub(super) fn drain(&mut self, now: Duration, slot: Slot, reason: &str) -> Vec<Decision> {
        if self.has_ended() {
            return Vec::new();
        }
        let Some(member) = self.members.get_mut(&slot) else {
            return Vec::new();
        };
        if member.draining {
            return Vec::new();
        }
        member.draining = true;
        self.released.insert(slot);
        self.wanted = self.wanted.saturating_sub(1).max(1);
        self.let_go(now, &format!("{} leaves: {reason}", self.name(slot)))
    }

    /// Changes how many workers the run has: the highest slots leave, or more are welcome.
    pub(super) fn scale(&mut self, now: Duration, workers: u32) -> Vec<Decision> {
        if self.has_ended() {
            return Vec::new();
        }
        let workers = workers.clamp(1, self.rules.max_workers);
        (self.wanted, self.limit) = (workers, workers);
        let surplus = self.members.len().saturating_sub(workers as usize);
        let leaving: Vec<Slot> = self.members.keys().rev().take(surplus).copied().collect();
        for slot in &leaving {
            self.members.get_mut(slot).expect("it is a member's slot").draining = true;
            self.released.insert(*slot);
        }
        let mut decisions = match leaving.is_empty() {
            true => Vec::new(),
            false => self.let_go(now, &format!("the run is scaled to {workers} workers")),
        };
        if self.rules.spawning == Spawning::Spawned && self.stop.is_none() {
            decisions.extend(self.spawn_missing(workers));
        }
        decisions.extend(self.try_start(now));
        decisions
    }

    /// Starts workers for the lowest free slots.
    fn spawn_missing(&mut self, workers: u32) -> Vec<Decision> {
        let missing = (workers as usize).saturating_sub(self.members.len());
        let free = (0..self.rules.max_workers).map(Slot);
        // A slot below the limit whose worker was not let go has one on its way already.
        let free = free.filter(|slot| !self.members.contains_key(slot));
        let slots: Vec<Slot> = free.take(missing).collect();
        for slot in &slots {
            self.released.remove(slot);
        }
        slots.into_iter().map(|slot| Decision::Spawn { slot, delay: Duration::ZERO }).collect()
    }

    /// Members are marked as draining: sees to it that they can go.
    fn let_go(&mut self, now: Duration, cause: &str) -> Vec<Decision> {
        let mut decisions = match self.phase {
            Phase::Training if self.members.values().all(|member| member.draining) => {
                // Nobody would be left to take the state: it is stored.
                let working = self.members.values().filter(|member| member.is_in_generation());
                working.map(|member| stop(member, cause)).collect()
            }
            Phase::Training => {
                let mut decisions = self.let_go_of_the_drained();
                let in_generation = |m: &Member| m.draining && m.standing == Standing::Working;
                if self.members.values().any(in_generation) {
                    decisions.extend(self.regroup(now, cause, Haste::AfterTheStep));
                }
                decisions
            }
            _ => Vec::new(),
        };
        decisions.extend(self.try_start(now));
        decisions
    }

    /// Says goodbye to draining members whose state others have, too.
    pub(super) fn let_go_of_the_drained(&mut self) -> Vec<Decision> {
        let others = self.members.values().filter(|member| !member.draining);
        let kept = others.filter_map(|member| member.holds).max();
        let may_go = |member: &Member| {
            member.draining && member.standing == Standing::Waiting && member.holds <= kept
        };
        let going: Vec<Slot> = (self.members.iter())
            .filter(|(_, member)| may_go(member))
            .map(|(slot, _)| *slot)
            .collect();
        going.into_iter().map(|slot| self.part_with(slot)).collect()
    }

    /// All that worked have stored what they had, and leave: the run waits for others.
    pub(super) fn part_with_the_finished(&mut self) -> Vec<Decision> {
        self.phase = Phase::Forming;
        self.cause = "every worker had left".to_string();
        let finished = |member: &Member| matches!(member.standing, Standing::Finished { .. });
        let slots: Vec<Slot> = (self.members.iter())
            .filter(|(_, member)| finished(member))
            .map(|(slot, _)| *slot)
            .collect();
        slots.into_iter().map(|slot| self.part_with(slot)).collect()
    }

    fn part_with(&mut self, slot: Slot) -> Decision {
        let member = self.remove(slot).expect("the slot is held");
        Decision::Goodbye { session: member.session }
    }
}

fn stop(member: &Member, reason: &str) -> Decision {
    Decision::Stop { session: member.session, reason: reason.to_string() }
}
