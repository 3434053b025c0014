//! From one generation to the next: members leave the one, and when all have, the other begins.
//!
//! A member leaves a generation for good before it can be in another, and it says what state it holds then. The next
//! generation goes on from the newest of these states; whoever does not have it receives it from the one that does.

use std::collections::BTreeSet;
use std::time::Duration;

use common::ids::{Generation, Rank, Slot};

use super::crew::Crew;
use super::event::{Decision, Outcome, SessionId};
use super::generation::{Begin, Origin, Place};
use super::machines::local_places;
use super::state::{Departure, Member, Membership, Phase, Standing};
use super::worker::Reached;

/// How urgently members are to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Haste {
    /// After the step in flight, all after the same one.
    AfterTheStep,
    /// Whatever they are doing: the generation is broken.
    AtOnce,
}

impl Membership {
    /// Ends the running generation: its members are told to leave it.
    pub(super) fn regroup(&mut self, now: Duration, cause: &str, haste: Haste) -> Vec<Decision> {
        if self.phase == Phase::Training {
            self.phase = Phase::Forming;
            self.cause = cause.to_string();
            self.enough_since = None;
        }
        let timing = self.rules.timing;
        let deadline = now
            + match haste {
                Haste::AfterTheStep => timing.pause_timeout,
                Haste::AtOnce => timing.leave_timeout,
            };
        let mut decisions = Vec::new();
        for member in self.members.values_mut() {
            let due = match member.standing {
                Standing::Working => true,
                // It was given more time than there is now.
                Standing::Leaving { deadline: given } => {
                    haste == Haste::AtOnce && given > now + timing.leave_timeout
                }
                Standing::Waiting | Standing::Finished { .. } => false,
            };
            if due {
                member.standing = Standing::Leaving { deadline };
                decisions.push(Decision::Halt {
                    session: member.session,
                    reason: cause.to_string(),
                    at_once: haste == Haste::AtOnce,
                });
            }
        }
        decisions
    }

    /// A member is out of its generation.
    pub(super) fn left(
        &mut self,
        now: Duration,
        session: SessionId,
        generation: Generation,
        departure: Departure,
    ) -> Vec<Decision> {
        let Some(slot) = self.slot_held_by(session) else {
            return Vec::new();
        };
        if generation != self.generation || self.has_ended() {
            return Vec::new();
        }
        let Departure { reached, broken, reason } = departure;
        let (name, is_storing) = (self.name(slot), self.stores_only());
        let member = self.members.get_mut(&slot).expect("the session holds it");
        if !member.is_in_generation() {
            return Vec::new();
        }
        member.standing = Standing::Waiting;
        // Who was to store the state of a run that ends, and could not, is not asked again.
        let could_not_store = is_storing && self.phase == Phase::Training;
        member.holds = reached.filter(|_| !could_not_store);
        member.last_heard = now;
        self.notice_steps(reached.map_or(0, |reached| reached.step));
        let mut decisions = Vec::new();
        if self.phase == Phase::Training {
            // Nobody told it to: its exchanges broke, or it has lost the coordinator in between. The cause will show, or
            // there is none and all go on together.
            let cause = format!("{name} left its generation: {reason}");
            if broken {
                self.break_generation();
                if !is_storing {
                    decisions.extend(self.count_breakage(now, &cause, slot));
                }
            }
            let haste = if broken { Haste::AtOnce } else { Haste::AfterTheStep };
            if !self.has_ended() {
                decisions.extend(self.regroup(now, &cause, haste));
            }
        }
        if broken {
            self.doubt_contacts();
        }
        decisions.extend(self.try_start(now));
        decisions
    }

    /// The running generation cannot be completed any more. Members that have done their part wait with their state.
    pub(super) fn break_generation(&mut self) {
        self.broken = true;
        for member in self.members.values_mut() {
            if matches!(member.standing, Standing::Finished { .. }) {
                member.standing = Standing::Waiting;
            }
        }
    }

    /// One more generation that ended by a loss; too many end the run.
    pub(super) fn count_loss(
        &mut self,
        now: Duration,
        cause: &str,
        slot: Option<Slot>,
    ) -> Vec<Decision> {
        self.losses += 1;
        if self.losses <= self.rules.max_generations {
            return Vec::new();
        }
        let limit = self.rules.max_generations;
        let reason = format!(
            "{cause}; that was loss number {}, --max-generations allows {limit}",
            self.losses
        );
        self.fail(now, &reason, slot)
    }

    /// Begins the next generation as soon as it may.
    pub(super) fn try_start(&mut self, now: Duration) -> Vec<Decision> {
        if self.phase != Phase::Forming {
            return Vec::new();
        }
        if self.members.values().any(|member| matches!(member.standing, Standing::Leaving { .. })) {
            return Vec::new();
        }
        if let Some(decisions) = self.complete_if_finished() {
            return decisions;
        }
        let mut decisions = self.let_go_of_the_drained();
        let newest = self.members.values().filter_map(|member| member.holds).max();
        if self.stores_only() {
            decisions.extend(self.store_at_one(now, newest));
            return decisions;
        }
        if let (Some(stop), None) = (&self.stop, newest) {
            let outcome = Outcome::Stopped { reason: stop.reason.clone() };
            decisions.extend(self.abort_everyone(&format!("the run is stopping: {outcome:?}")));
            decisions.extend(self.end(outcome));
            return decisions;
        }
        let here = self.members.len();
        if !self.has_enough(now, newest, here)
            || (newest.is_none() && self.is_awaiting_survivors(now))
        {
            return decisions;
        }
        decisions.extend(self.seek_contacts(now));
        let candidates = self.candidates(self.least());
        let crew = self.crew(now, &candidates, &self.holders(newest));
        if crew.is_open {
            return decisions;
        }
        decisions.extend(self.note_spares(&crew));
        let enough = self.has_enough(now, newest, crew.slots.len());
        if enough && now >= self.pausing.until {
            decisions.extend(self.start_generation(now, newest, &crew));
        }
        decisions
    }

    /// The run ends by a failure: one member that has its newest state stores that.
    fn store_at_one(&mut self, now: Duration, newest: Option<Reached>) -> Vec<Decision> {
        match self.holders(newest).first().copied() {
            Some(slot) => {
                let slots = [slot].into();
                self.start_generation(now, newest, &Crew { slots, ..Crew::default() })
            }
            None => self.end_what_has_failed().unwrap_or_default(),
        }
    }

    /// Who has the newest state, if anybody has one.
    fn holders(&self, newest: Option<Reached>) -> BTreeSet<Slot> {
        let has_it = |member: &Member| newest.is_some() && member.holds == newest;
        self.members.iter().filter(|(_, member)| has_it(member)).map(|(slot, _)| *slot).collect()
    }

    /// Members that the next generation has at least, but for the first.
    fn least(&self) -> u32 {
        self.rules.min_workers.min(self.wanted).min(self.limit).max(1)
    }

    /// Whether so many members are enough for the next generation.
    fn has_enough(&mut self, now: Duration, newest: Option<Reached>, count: usize) -> bool {
        let count = count as u32;
        if count == 0 {
            return false;
        }
        // To store its state a run needs no more than who has it.
        if self.stop.is_some() || (newest.is_some() && self.members.values().all(|m| m.draining)) {
            return true;
        }
        let least = self.least();
        if self.generation != Generation(0) {
            return count >= least;
        }
        if count >= self.wanted {
            return true;
        }
        if count < least {
            self.enough_since = None;
            return false;
        }
        let since = *self.enough_since.get_or_insert(now);
        now.saturating_sub(since) >= self.rules.timing.rejoin_timeout
    }

    /// Whether somebody who is not here may still come back with the run's state.
    fn is_awaiting_survivors(&mut self, now: Duration) -> bool {
        if self.absent.is_empty() {
            return false;
        }
        let until = *self.awaited_until.get_or_insert(now + self.rules.timing.rejoin_timeout);
        now < until
    }

    /// Numbers the members densely in slot order and starts the next generation.
    fn start_generation(
        &mut self,
        now: Duration,
        newest: Option<Reached>,
        crew: &Crew,
    ) -> Vec<Decision> {
        self.generation = Generation(self.generation.0 + 1);
        self.phase = Phase::Training;
        self.broken = false;
        self.absent.clear();
        self.awaited_until = None;
        let active = self.active(newest, crew);
        let only_stores = self.stores_only();
        let machines: Vec<&str> =
            active.iter().map(|slot| self.members[slot].identity.machine.as_str()).collect();
        let local = local_places(&machines);
        let mut members = Vec::with_capacity(active.len());
        let mut lacking = Vec::new();
        let mut source = None;
        for ((slot, rank), local) in active.into_iter().zip((0..).map(Rank)).zip(local) {
            let member = self.members.get_mut(&slot).expect("active slots are held");
            match newest {
                Some(_) if member.holds == newest => source = source.or(Some(rank)),
                _ => lacking.push(rank),
            }
            member.rank = Some(rank);
            member.standing = Standing::Working;
            member.last_heard = member.last_heard.max(now);
            let address = crew.addresses.get(&slot).copied();
            members.push(Place { slot, session: member.session, rank, local, address });
        }
        self.begin_counting_steps(newest.map_or(self.last_checkpoint.1, |reached| reached.step));
        for member in self.members.values_mut() {
            // Where the one that is to store cannot another does.
            member.holds =
                member.holds.filter(|_| only_stores && member.standing == Standing::Waiting);
            if member.standing == Standing::Waiting {
                member.rank = None;
            }
        }
        let origin = match (newest, source) {
            (Some(reached), Some(source)) => Origin::Member { source, reached, lacking },
            _ => Origin::Stored,
        };
        let generation = self.generation;
        let cause = std::mem::take(&mut self.cause);
        let sessions: Vec<SessionId> = members.iter().map(|place| place.session).collect();
        let computing = members.first().and_then(|place| self.remember_computing(place.slot));
        let begin = Begin { generation, origin, members, cause, only_stores, computing };
        let mut decisions = vec![Decision::Begin(begin)];
        decisions.extend(self.seek_contacts(now));
        if !only_stores {
            decisions.extend(self.follow_up(now, &sessions));
        }
        decisions
    }

    /// What a generation that has just begun is told at once: a stop that waited for it, or to let drained members go.
    fn follow_up(&mut self, now: Duration, sessions: &[SessionId]) -> Vec<Decision> {
        let stop = |reason: &str| {
            let reason = reason.to_string();
            sessions.iter().map(move |&session| Decision::Stop { session, reason: reason.clone() })
        };
        if let Some(stop_wish) = &self.stop {
            return stop(&stop_wish.reason).collect();
        }
        let working = || self.members.values().filter(|it| it.standing == Standing::Working);
        let draining = working().filter(|member| member.draining).count();
        match draining {
            0 => Vec::new(),
            // Nobody would be left to take the state, or nobody who reaches them: it is stored.
            _ if draining == working().count() => stop("every worker leaves").collect(),
            // By the end of its first step the others have the state.
            _ => self.regroup(now, "a worker that held the only state leaves", Haste::AfterTheStep),
        }
    }

    /// The slots that take part: not more than there are logical shards, those with the newest state first.
    fn active(&self, newest: Option<Reached>, crew: &Crew) -> Vec<Slot> {
        let holders = self.holders(newest);
        let (with, without): (Vec<Slot>, Vec<Slot>) =
            crew.slots.iter().partition(|slot| holders.contains(slot));
        let places = self.rules.logical_shards as usize;
        let mut all = with.into_iter().chain(without);
        let mut active: Vec<Slot> = all.by_ref().take(places).collect();
        // Where all of these are to be let go somebody has to be there who takes the state over.
        let stays = |slot: &Slot| !self.members[slot].draining;
        if !active.iter().any(stays) {
            active.extend(all.find(stays));
        }
        active.sort_unstable();
        active
    }

    /// Whether one more member would take part.
    pub(super) fn has_room(&self) -> bool {
        let working = self.members.values().filter(|member| member.is_in_generation());
        working.count() < self.rules.logical_shards as usize
    }
}
