//! Members that take no part: who is left out of the next generation and why, and who is taken in while one computes.

use std::collections::BTreeSet;
use std::time::Duration;

use common::ids::Slot;

use super::crew::Crew;
use super::event::Decision;
use super::forming::Haste;
use super::state::{Membership, Phase, Standing};

impl Membership {
    /// Members that the next generation may be formed of: without those that the last one broke with, where the others
    /// are enough.
    pub(super) fn candidates(&self, least: u32) -> BTreeSet<Slot> {
        let all = || self.members.iter();
        let trusted = all().filter(|(_, member)| member.suspect.is_none());
        let trusted: BTreeSet<Slot> = trusted.map(|(slot, _)| *slot).collect();
        if trusted.len() >= least as usize {
            return trusted;
        }
        all().map(|(slot, _)| *slot).collect()
    }

    /// While the others compute: takes in members that wait, as far as they can take part.
    pub(super) fn take_in_spares(&mut self, now: Duration) -> Vec<Decision> {
        let is_ending = self
            .members
            .values()
            .any(|member| matches!(member.standing, Standing::Finished { .. }));
        if self.phase != Phase::Training || self.stop.is_some() || is_ending || !self.has_room() {
            return Vec::new();
        }
        let is_spare = |slot: &Slot| {
            let member = &self.members[slot];
            member.standing == Standing::Waiting && !member.draining && member.suspect.is_none()
        };
        let spares: Vec<Slot> = self.members.keys().copied().filter(is_spare).collect();
        if spares.is_empty() {
            return Vec::new();
        }
        let mut decisions = self.seek_contacts(now);
        let at_work = self.members.iter().filter(|(_, member)| member.is_in_generation());
        let working: BTreeSet<Slot> = at_work.map(|(slot, _)| *slot).collect();
        let among: BTreeSet<Slot> = spares.iter().chain(&working).copied().collect();
        // As the next generation would be formed, so that it takes in those for which this one ends.
        let crew = self.crew(now, &among, &working);
        if crew.is_open {
            return decisions;
        }
        let taken = spares.iter().find(|slot| crew.slots.contains(slot));
        if let Some(slot) = taken.filter(|_| crew.slots.is_superset(&working)) {
            let back = self.members[slot].aside.is_some();
            let how = if back { "is reached by the others now" } else { "joined" };
            let cause = format!("{} {how}", self.name(*slot));
            decisions.extend(self.regroup(now, &cause, Haste::AfterTheStep));
            return decisions;
        }
        for slot in spares {
            decisions.extend(self.set_aside(slot, crew.aside.get(&slot).cloned()));
        }
        decisions
    }

    /// Takes note of why a member takes no part; news is only that it takes none, or does again.
    pub(super) fn set_aside(&mut self, slot: Slot, reason: Option<String>) -> Option<Decision> {
        let member = self.members.get_mut(&slot)?;
        let before = std::mem::replace(&mut member.aside, reason.clone());
        (before.is_some() != reason.is_some()).then_some(Decision::SetAside { slot, reason })
    }

    /// Who takes no part in the generation that is about to begin, and why.
    pub(super) fn note_spares(&mut self, crew: &Crew) -> Vec<Decision> {
        let slots: Vec<Slot> = self.members.keys().copied().collect();
        let noted = slots.into_iter().filter_map(|slot| {
            let suspected = || self.members[&slot].suspect.clone();
            let why = match crew.slots.contains(&slot) {
                true => None,
                false => crew.aside.get(&slot).cloned().or_else(suspected),
            };
            self.set_aside(slot, why)
        });
        noted.collect()
    }
}
