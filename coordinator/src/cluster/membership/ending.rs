//! How runs end: completed, stopped, failed.

use std::time::Duration;

use common::ids::Generation;
use common::ids::Slot;
use common::status::ServiceError;

use super::event::{Decision, Outcome, SessionId};
use super::forming::Haste;
use super::state::{Failure, FinishedAt, Member, Membership, Phase, Standing, Stop};

impl Membership {
    /// A member has done its part. It keeps its state until all have, as a lost one may have been the one that stores.
    pub(super) fn finished(
        &mut self,
        now: Duration,
        session: SessionId,
        generation: Generation,
        at: FinishedAt,
    ) -> Vec<Decision> {
        let Some(slot) = self.slot_held_by(session) else {
            return Vec::new();
        };
        if generation != self.generation || self.has_ended() {
            return Vec::new();
        }
        let broken = self.broken;
        let member = self.members.get_mut(&slot).expect("the session holds it");
        if !member.is_in_generation() {
            return Vec::new();
        }
        member.standing = match broken {
            false => Standing::Finished { stopped: at.stopped },
            true => Standing::Waiting,
        };
        member.holds = Some(at.reached);
        member.last_heard = now;
        self.complete_if_finished().unwrap_or_else(|| self.try_start(now))
    }

    pub(super) fn stop(&mut self, now: Duration, reason: String) -> Vec<Decision> {
        if self.has_ended() || self.stop.is_some() {
            return Vec::new();
        }
        let deadline = now + self.rules.timing.stop_timeout;
        self.stop = Some(Stop { reason: reason.clone(), deadline, failure: None });
        match self.phase {
            Phase::Training => {
                let working =
                    self.members.values().filter(|member| member.standing == Standing::Working);
                working
                    .map(|member| Decision::Stop {
                        session: member.session,
                        reason: reason.clone(),
                    })
                    .collect()
            }
            // Who has the state stores it in a generation of its own, if somebody has.
            _ => self.try_start(now),
        }
    }

    /// Ends the run, once its newest state is stored where somebody has one.
    pub(super) fn fail(&mut self, now: Duration, cause: &str, slot: Option<Slot>) -> Vec<Decision> {
        if self.has_ended() || self.stores_only() {
            return Vec::new();
        }
        let has_state = |member: &Member| member.is_in_generation() || member.holds.is_some();
        if !self.members.values().any(has_state) {
            return self.fail_at_once(cause, slot);
        }
        let failure = Some(Failure { cause: cause.to_string(), slot });
        let deadline = now + self.rules.timing.stop_timeout;
        self.stop = Some(Stop { reason: cause.to_string(), deadline, failure });
        self.break_generation();
        let mut decisions = self.regroup(now, &format!("the run ends: {cause}"), Haste::AtOnce);
        decisions.extend(self.try_start(now));
        decisions
    }

    /// Ends the run on every side.
    pub(super) fn fail_at_once(&mut self, cause: &str, slot: Option<Slot>) -> Vec<Decision> {
        if self.has_ended() {
            return Vec::new();
        }
        let (cause, slot) = match self.stop.as_ref().and_then(|stop| stop.failure.clone()) {
            Some(first) if first.cause != cause => {
                (format!("{}; its newest state is not stored: {cause}", first.cause), first.slot)
            }
            _ => (cause.to_string(), slot),
        };
        let checkpoint = self.last_checkpoint.0.as_deref();
        let reason = format!("{cause}; {}", checkpoint.unwrap_or("no checkpoint was stored yet"));
        let mut decisions = self.abort_everyone(&reason);
        decisions.extend(self.end(Outcome::Failed { reason, slot }));
        decisions
    }

    /// Whether the run ends by a failure, so that all that is left to do is to store its state.
    pub(super) fn stores_only(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.failure.is_some())
    }

    /// There is nobody left to store anything, or it is stored.
    pub(super) fn end_what_has_failed(&mut self) -> Option<Vec<Decision>> {
        let Failure { cause, slot } = self.stop.as_ref()?.failure.clone()?;
        Some(self.fail_at_once(&cause, slot))
    }

    pub(super) fn enforce_stop(&mut self, now: Duration) -> Vec<Decision> {
        let late = self.stop.as_ref().is_some_and(|stop| now >= stop.deadline);
        if !late || self.has_ended() {
            return Vec::new();
        }
        let is_late = |member: &Member| match self.stores_only() {
            true => member.is_in_generation(),
            false => !matches!(member.standing, Standing::Finished { .. }),
        };
        let slot = self.members.iter().find(|(_, member)| is_late(member)).map(|(slot, _)| *slot);
        let name = slot.map_or("the workers".to_string(), |slot| self.name(slot));
        self.fail_at_once(&format!("{name} did not store its state in time after the stop"), slot)
    }

    /// Ends the run where every member of the generation has done its part; those that are gone since then had, too.
    pub(super) fn complete_if_finished(&mut self) -> Option<Vec<Decision>> {
        let is_finished = |m: &Member| matches!(m.standing, Standing::Finished { .. });
        let in_question =
            || self.members.values().filter(|m| m.is_in_generation() || is_finished(m));
        let over = self.broken || self.has_ended();
        if over || in_question().next().is_none() || !in_question().all(is_finished) {
            return None;
        }
        let stopped = in_question().any(|m| m.standing == Standing::Finished { stopped: true });
        if self.stores_only() {
            return self.end_what_has_failed();
        }
        let outcome = match &self.stop {
            Some(stop) if stopped => Outcome::Stopped { reason: stop.reason.clone() },
            None if stopped => return Some(self.part_with_the_finished()),
            _ => Outcome::Completed,
        };
        let goodbye = |member: &Member| Decision::Goodbye { session: member.session };
        let mut decisions: Vec<_> = self.members.values().map(goodbye).collect();
        decisions.extend(self.end(outcome));
        Some(decisions)
    }

    pub(super) fn abort_everyone(&mut self, reason: &str) -> Vec<Decision> {
        let abort = |session| Decision::Abort { session, reason: reason.to_string() };
        self.members.values().map(|member| abort(member.session)).collect()
    }

    /// Refuses who still asks for a slot, then ends.
    pub(super) fn end(&mut self, outcome: Outcome) -> Vec<Decision> {
        let probes = std::mem::take(&mut self.probes);
        let refuse = |probe| self.refuse_candidate(probe, over(&outcome));
        let mut decisions: Vec<_> = probes.into_values().map(refuse).collect();
        self.phase = Phase::Ended(outcome.clone());
        decisions.push(Decision::End(outcome));
        decisions
    }
}

/// What whoever still comes is told.
pub(super) fn over(outcome: &Outcome) -> ServiceError {
    match outcome {
        Outcome::Completed => ServiceError::Complete("the run is complete".to_string()),
        _ => ServiceError::Ending("the run is over".to_string()),
    }
}
