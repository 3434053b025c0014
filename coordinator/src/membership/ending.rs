//! How members leave and runs end: silence, losses, stops, completion.
//!
//! A worker that lost a peer tells of a consequence; the cause (a session that ended, a failure) is waited for, so
//! that the message names the right rank.

use std::time::Duration;

use common::ids::{Generation, Slot};
use common::status::ServiceError;

use super::event::{Decision, Outcome, SessionId};
use super::{Member, Membership, Phase, Progress, Suspicion};

impl Membership {
    pub(super) fn finished(
        &mut self,
        session: SessionId,
        generation: Generation,
        stopped: bool,
    ) -> Vec<Decision> {
        if generation != self.generation {
            return Vec::new();
        }
        let stopping = matches!(self.phase, Phase::Stopping { .. });
        let Some(member) = self.member(session) else {
            return Vec::new();
        };
        member.progress = Progress::Finished { stopped };
        if stopped && !stopping {
            let slot = self.slot_of[&session];
            return self.lose(slot, "was stopped on its own machine");
        }
        self.complete()
    }

    pub(super) fn failed(&mut self, session: SessionId, reason: &str) -> Vec<Decision> {
        // Before the start nothing is lost with it: its session ends next, which frees the slot.
        if self.phase == Phase::Waiting || self.member(session).is_none() {
            return Vec::new();
        }
        let slot = self.slot_of[&session];
        self.lose(slot, &format!("failed: {reason}"))
    }

    pub(super) fn lost_peer(
        &mut self,
        now: Duration,
        session: SessionId,
        reason: String,
    ) -> Vec<Decision> {
        let deadline = now + self.rules.timing.cause_grace;
        let Some(member) = self.member(session) else {
            return Vec::new();
        };
        member.progress = Progress::LostPeer;
        let reporter = self.slot_of[&session];
        self.suspicion.get_or_insert(Suspicion { reporter, reason, deadline });
        Vec::new()
    }

    pub(super) fn session_ended(
        &mut self,
        now: Duration,
        session: SessionId,
        how: &str,
    ) -> Vec<Decision> {
        let Some(slot) = self.slot_of.remove(&session) else {
            return Vec::new();
        };
        if self.probes.get(&slot).is_some_and(|probe| probe.candidate.session == session) {
            self.probes.remove(&slot);
            return Vec::new();
        }
        match (&self.phase, self.members[&slot].progress) {
            (Phase::Waiting, _) => self.vacate(now, slot),
            (_, Progress::Working) => self.lose(slot, how),
            (_, Progress::LostPeer | Progress::Finished { .. }) => Vec::new(),
        }
    }

    pub(super) fn process_ended(&mut self, slot: Slot, how: &str) -> Vec<Decision> {
        match self.members.get(&slot).map(|member| member.progress) {
            None if self.phase == Phase::Waiting => {
                let reason = format!("the worker started for slot {slot} {how} before it joined");
                self.fail(&reason, Some(slot))
            }
            Some(Progress::Working) => self.lose(slot, how),
            _ => Vec::new(),
        }
    }

    pub(super) fn stop(&mut self, now: Duration, reason: String) -> Vec<Decision> {
        match self.phase {
            Phase::Waiting => {
                let mut decisions = self.abort_everyone(&reason);
                decisions.extend(self.end(Outcome::Stopped { reason }));
                decisions
            }
            Phase::Training => {
                let deadline = now + self.rules.timing.stop_timeout;
                self.phase = Phase::Stopping { reason: reason.clone(), deadline };
                let stop = |member: &Member| Decision::Stop {
                    session: member.session,
                    reason: reason.clone(),
                };
                self.members.values().filter(|member| !member.is_finished()).map(stop).collect()
            }
            Phase::Stopping { .. } | Phase::Ended(_) => Vec::new(),
        }
    }

    /// A member is gone. For now that ends the run.
    pub(super) fn lose(&mut self, slot: Slot, cause: &str) -> Vec<Decision> {
        let reason = format!("{} {cause}", self.name(slot));
        self.fail(&reason, Some(slot))
    }

    /// Ends the run on every side.
    pub(super) fn fail(&mut self, cause: &str, slot: Option<Slot>) -> Vec<Decision> {
        if self.has_ended() {
            return Vec::new();
        }
        let checkpoint = self.last_checkpoint.as_deref();
        let reason = format!("{cause}; {}", checkpoint.unwrap_or("no checkpoint was stored yet"));
        let mut decisions = self.abort_everyone(&reason);
        decisions.extend(self.end(Outcome::Failed { reason, slot }));
        decisions
    }

    /// Members unheard for too long are lost; one that only waits for the start just frees its slot.
    pub(super) fn notice_silence(&mut self, now: Duration) -> Vec<Decision> {
        let timeout = self.rules.timing.heartbeat_timeout;
        let silent = |member: &Member| {
            !member.is_finished() && now.saturating_sub(member.last_heard) > timeout
        };
        let found = self.members.iter().find(|(_, member)| silent(member));
        let Some((&slot, member)) = found else {
            return Vec::new();
        };
        let cause = format!("has not been heard from for {} s", timeout.as_secs());
        match self.phase {
            Phase::Ended(_) => Vec::new(),
            Phase::Waiting => {
                let mut decisions =
                    vec![Decision::Abort { session: member.session, reason: cause }];
                decisions.extend(self.vacate(now, slot));
                decisions
            }
            _ => self.lose(slot, &cause),
        }
    }

    /// No cause came to light: names the member that is silent for longest, or the one that reported.
    pub(super) fn settle_suspicion(&mut self, now: Duration) -> Vec<Decision> {
        let Some(suspicion) = self.suspicion.take_if(|suspicion| now >= suspicion.deadline) else {
            return Vec::new();
        };
        let working =
            self.members.iter().filter(|(_, member)| member.progress == Progress::Working);
        let quietest = working.min_by_key(|(_, member)| member.last_heard).map(|(slot, _)| *slot);
        let Suspicion { reporter, reason, .. } = suspicion;
        let reporter_name = self.name(reporter);
        match quietest {
            Some(slot) => self.lose(slot, &format!("stopped answering {reporter_name}: {reason}")),
            None => self.fail(&format!("{reporter_name} lost a peer: {reason}"), None),
        }
    }

    pub(super) fn enforce_stop(&mut self, now: Duration) -> Vec<Decision> {
        match self.phase {
            Phase::Stopping { deadline, .. } if now >= deadline => {
                let late = self.members.iter().find(|(_, member)| !member.is_finished());
                let slot = late.map(|(slot, _)| *slot).unwrap_or_default();
                self.lose(slot, "did not store its state in time after the stop")
            }
            _ => Vec::new(),
        }
    }

    fn complete(&mut self) -> Vec<Decision> {
        if self.has_ended() || !self.members.values().all(Member::is_finished) {
            return Vec::new();
        }
        let cut_short = |member: &Member| member.progress == Progress::Finished { stopped: true };
        let outcome = match &self.phase {
            Phase::Stopping { reason, .. } if self.members.values().any(cut_short) => {
                Outcome::Stopped { reason: reason.clone() }
            }
            _ => Outcome::Completed,
        };
        let goodbye = |member: &Member| Decision::Goodbye { session: member.session };
        let mut decisions: Vec<_> = self.members.values().map(goodbye).collect();
        decisions.extend(self.end(outcome));
        decisions
    }

    fn abort_everyone(&mut self, reason: &str) -> Vec<Decision> {
        let abort = |session| Decision::Abort { session, reason: reason.to_string() };
        self.members.values().map(|member| abort(member.session)).collect()
    }

    /// Refuses who still asks for a slot, then ends.
    fn end(&mut self, outcome: Outcome) -> Vec<Decision> {
        let mut decisions = Vec::new();
        for probe in std::mem::take(&mut self.probes).into_values() {
            let error = ServiceError::Ending("the run is over".to_string());
            decisions.extend(self.refuse_candidate(probe, error));
        }
        self.phase = Phase::Ended(outcome.clone());
        decisions.push(Decision::End(outcome));
        decisions
    }

    /// A member as messages name it.
    pub(super) fn name(&self, slot: Slot) -> String {
        match self.members.get(&slot) {
            Some(Member { rank: Some(rank), identity, .. }) if rank.0 == slot.0 => {
                format!("rank {rank} on {}", identity.host)
            }
            Some(Member { rank: Some(rank), identity, .. }) => {
                format!("rank {rank} (slot {slot}) on {}", identity.host)
            }
            Some(Member { rank: None, identity, .. }) => {
                format!("slot {slot} on {}", identity.host)
            }
            None => format!("slot {slot}"),
        }
    }
}

impl Member {
    fn is_finished(&self) -> bool {
        matches!(self.progress, Progress::Finished { .. })
    }
}
