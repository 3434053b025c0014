//! Members that are gone: their connection or process ended, they fell silent, or they did not do what they were told.

use std::time::Duration;

use common::ids::Slot;

use super::event::{Decision, Event, Loss, SessionId};
use super::forming::Haste;
use super::rules::Spawning;
use super::state::{Member, Membership, Phase, Standing};
use super::worker::Reached;

/// Before a worker is started in place of one that ended before it joined.
const RESTART_DELAY: Duration = Duration::from_secs(1);
/// Workers of a slot that may end before they join, one after the other.
const EARLY_EXITS: u32 = 3;
/// Times in a row that the worker of a slot may fail without a step done in between.
const FUTILE_STARTS: u32 = 3;

/// Whether a lost member may come back with the state that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Return {
    Possible,
    /// Its process ends, and the state with it.
    Never,
}

impl Membership {
    pub(super) fn session_ended(
        &mut self,
        now: Duration,
        session: SessionId,
        how: &str,
    ) -> Vec<Decision> {
        let Some(&slot) = self.slot_of.get(&session) else {
            return Vec::new();
        };
        if self.probes.get(&slot).is_some_and(|probe| probe.candidate.session == session) {
            self.slot_of.remove(&session);
            self.probes.remove(&slot);
            return Vec::new();
        }
        self.lose(now, slot, how)
    }

    /// A process that was started for a slot is gone; another takes its place, unless somebody holds the slot.
    pub(super) fn process_ended(
        &mut self,
        now: Duration,
        slot: Slot,
        process: u32,
        how: &str,
    ) -> Vec<Decision> {
        self.absent.remove(&slot);
        if self.has_ended() {
            return Vec::new();
        }
        let is_its = |member: &Member| member.identity.process_id == process;
        let mut decisions = match self.members.get(&slot).map(is_its) {
            Some(true) => self.lose_member(now, slot, how, Return::Never),
            _ => self.try_start(now),
        };
        let is_held = self.members.contains_key(&slot) || self.probes.contains_key(&slot);
        if self.has_ended() || self.rules.spawning == Spawning::ByHand || is_held {
            return decisions;
        }
        let had_joined = self.departed.remove(&slot);
        let early = self.early_exits.entry(slot).or_default();
        if !had_joined {
            // That is no accident if it happens again and again.
            *early += 1;
        }
        if *early > EARLY_EXITS {
            let reason = format!(
                "the worker started for slot {slot} {how} before it joined, {early} times in a row"
            );
            decisions.extend(self.fail(now, &reason, Some(slot)));
        } else if self.stop.is_none() && !self.released.contains(&slot) && slot.0 < self.limit {
            let delay = if *early == 0 { Duration::ZERO } else { RESTART_DELAY };
            decisions.push(Decision::Spawn { slot, delay });
        }
        decisions
    }

    /// A member cannot go on. Where every other would fail likewise the run ends; who still has a state may be the one
    /// that stores it.
    pub(super) fn failed(
        &mut self,
        now: Duration,
        session: SessionId,
        reason: &str,
        (ends_run, reached): (bool, Option<Reached>),
    ) -> Vec<Decision> {
        let Some(slot) = self.slot_held_by(session) else {
            return Vec::new();
        };
        let cause = format!("failed: {reason}");
        if self.stores_only() {
            return self.failed_too(now, slot, &cause, reached);
        }
        let times = self.futile.entry(slot).or_default();
        *times += 1;
        let times = *times;
        if !ends_run && times <= FUTILE_STARTS {
            // Its session ends by itself; what it said last must not be lost to the news of that.
            return self.lose_member(now, slot, &cause, Return::Never);
        }
        let often = match ends_run {
            true => String::new(),
            false => format!(", {times} times without a step done in between"),
        };
        let reason = format!("{} {cause}{often}", self.name(slot));
        self.break_generation();
        let mut decisions = self.keep_for_its_state(slot, &reason, reached);
        decisions.extend(self.fail(now, &reason, Some(slot)));
        decisions
    }

    /// One more fails while the run ends; where it was the one that should store, it cannot.
    fn failed_too(
        &mut self,
        now: Duration,
        slot: Slot,
        cause: &str,
        reached: Option<Reached>,
    ) -> Vec<Decision> {
        let reached = reached.filter(|_| self.phase == Phase::Forming);
        if self.phase == Phase::Training {
            self.phase = Phase::Forming;
            self.break_generation();
        }
        let reason = format!("{} {cause}", self.name(slot));
        let mut decisions = self.keep_for_its_state(slot, &reason, reached);
        decisions.extend(self.try_start(now));
        decisions
    }

    /// A member that has failed stays as long as it has a state.
    fn keep_for_its_state(
        &mut self,
        slot: Slot,
        reason: &str,
        reached: Option<Reached>,
    ) -> Vec<Decision> {
        let member = self.members.get_mut(&slot).expect("it is a member's slot");
        (member.standing, member.holds) = (Standing::Waiting, reached);
        if reached.is_some() {
            return Vec::new();
        }
        let abort = Decision::Abort { session: member.session, reason: reason.to_string() };
        self.remove(slot);
        vec![abort]
    }

    /// A member is gone, and may live on. Whoever asks for its slot gets it; the others go on in a new generation.
    pub(super) fn lose(&mut self, now: Duration, slot: Slot, cause: &str) -> Vec<Decision> {
        self.lose_member(now, slot, cause, Return::Possible)
    }

    fn lose_member(
        &mut self,
        now: Duration,
        slot: Slot,
        cause: &str,
        comes_back: Return,
    ) -> Vec<Decision> {
        if self.has_ended() {
            return Vec::new();
        }
        let name = self.name(slot);
        let Some(member) = self.remove(slot) else {
            return Vec::new();
        };
        let in_generation = member.is_in_generation();
        if comes_back == Return::Possible && (in_generation || member.holds.is_some()) {
            self.absent.insert(slot, Some(member.identity.clone()));
        }
        let mut decisions =
            vec![Decision::Lost(Loss { slot, cause: cause.to_string(), in_generation })];
        let reason = format!("{name} {cause}");
        decisions.push(Decision::Evict { session: member.session, reason: reason.clone() });
        if in_generation {
            self.break_generation();
            decisions.extend(match self.phase {
                _ if self.stores_only() => Vec::new(),
                Phase::Training => self.count_loss(now, &reason, Some(slot)),
                _ => self.explain_breakage(now, &reason, slot),
            });
            if !self.has_ended() {
                decisions.extend(self.regroup(now, &reason, Haste::AtOnce));
            }
        }
        if let Some(probe) = self.probes.remove(&slot) {
            self.slot_of.remove(&probe.candidate.session);
            decisions.extend(self.apply(now, Event::Joined(probe.candidate)));
        }
        decisions.extend(self.try_start(now));
        decisions
    }

    /// Takes a member out of everything that is known of members.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<Member> {
        let member = self.members.remove(&slot)?;
        self.slot_of.remove(&member.session);
        self.forget_contacts(member.session);
        self.departed.insert(slot);
        Some(member)
    }

    /// Evicts members unheard for too long, and those that have not left a generation in time.
    pub(super) fn notice_silence(&mut self, now: Duration) -> Vec<Decision> {
        let eviction = self.rules.timing.eviction();
        let fault = |member: &Member| match member.standing {
            _ if now.saturating_sub(member.last_heard) > eviction => {
                Some(format!("has not been heard from for {} s", eviction.as_secs_f64()))
            }
            Standing::Leaving { deadline } if now >= deadline => {
                Some("did not leave its generation in time".to_string())
            }
            _ => None,
        };
        let found = self.members.iter().filter_map(|(slot, member)| Some((*slot, fault(member)?)));
        let found: Vec<(Slot, String)> = found.collect();
        found.into_iter().flat_map(|(slot, cause)| self.lose(now, slot, &cause)).collect()
    }

    /// The coordinator itself was stopped or asleep for so long: what nobody could tell it is held against nobody.
    pub(super) fn woke(&mut self, now: Duration, slept: Duration) -> Vec<Decision> {
        for member in self.members.values_mut() {
            member.last_heard = now;
            if let Standing::Leaving { deadline } = &mut member.standing {
                *deadline += slept;
            }
        }
        for probe in self.probes.values_mut() {
            probe.deadline += slept;
        }
        if let Some(stop) = &mut self.stop {
            stop.deadline += slept;
        }
        if let Some(until) = &mut self.awaited_until {
            *until += slept;
        }
        Vec::new()
    }
}
