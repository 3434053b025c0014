//! Who may join, and the probe of a slot's holder when a second worker asks for its slot.

use std::time::Duration;

use common::ids::Slot;
use common::status::ServiceError;
use proto::PROTOCOL_VERSION;

use super::event::{Decision, Event, Identity, Join, Report, SessionId};
use super::{HardwareRule, Member, Membership, Phase, Probe, Progress};

impl Membership {
    pub(super) fn join(&mut self, now: Duration, join: Join) -> Vec<Decision> {
        if let Err(error) = self.check(&join) {
            self.slot_of.remove(&join.session);
            return vec![Decision::Refuse { session: join.session, error }];
        }
        match self.members.get(&join.slot) {
            None => self.admit(now, join),
            Some(holder) => {
                let ping = Decision::Ping { session: holder.session };
                self.slot_of.insert(join.session, join.slot);
                let deadline = now + self.rules.timing.probe_timeout;
                self.probes.insert(join.slot, Probe { candidate: join, deadline });
                vec![ping]
            }
        }
    }

    /// The holder answered: whoever asks for its slot is refused.
    pub(super) fn answered(&mut self, now: Duration, session: SessionId) -> Vec<Decision> {
        let Some(member) = self.member(session) else {
            return Vec::new();
        };
        member.last_heard = now;
        let slot = self.slot_of[&session];
        let Some(probe) = self.probes.remove(&slot) else {
            return Vec::new();
        };
        let holder = &self.members[&slot].identity;
        let error = ServiceError::SlotTaken(format!(
            "slot {slot} is held by a worker on {} (process {}), which answers; give this one another --rank",
            holder.host, holder.process_id
        ));
        self.refuse_candidate(probe, error)
    }

    /// Ends the probes whose holder did not answer in time.
    pub(super) fn settle_probes(&mut self, now: Duration) -> Vec<Decision> {
        let expired = |probe: &Probe| now >= probe.deadline;
        let slots: Vec<Slot> =
            self.probes.iter().filter(|(_, probe)| expired(probe)).map(|(slot, _)| *slot).collect();
        slots.into_iter().flat_map(|slot| self.replace_silent_holder(now, slot)).collect()
    }

    /// Gives the slot of a holder that is gone to the worker that asks for it, if one does.
    pub(super) fn vacate(&mut self, now: Duration, slot: Slot) -> Vec<Decision> {
        if let Some(member) = self.members.remove(&slot) {
            self.slot_of.remove(&member.session);
        }
        match self.probes.remove(&slot) {
            Some(probe) => self.apply(now, Event::Joined(probe.candidate)),
            None => Vec::new(),
        }
    }

    pub(super) fn refuse_candidate(&mut self, probe: Probe, error: ServiceError) -> Vec<Decision> {
        self.slot_of.remove(&probe.candidate.session);
        vec![Decision::Refuse { session: probe.candidate.session, error }]
    }

    fn replace_silent_holder(&mut self, now: Duration, slot: Slot) -> Vec<Decision> {
        if self.phase != Phase::Waiting {
            return self.lose(slot, "did not answer when another worker asked for its slot");
        }
        let reason = format!("another worker took slot {slot}, this one did not answer");
        let session = self.members[&slot].session;
        let mut decisions = vec![Decision::Abort { session, reason }];
        decisions.extend(self.vacate(now, slot));
        decisions
    }

    fn admit(&mut self, now: Duration, join: Join) -> Vec<Decision> {
        let Join { session, slot, identity, .. } = join;
        self.slot_of.insert(session, slot);
        self.members.insert(
            slot,
            Member {
                session,
                identity,
                rank: None,
                last_heard: now,
                report: Report::default(),
                progress: Progress::Working,
            },
        );
        let mut decisions = vec![Decision::Admit { session, slot }];
        if self.members.len() == self.rules.workers as usize {
            decisions.extend(self.start_generation());
        }
        decisions
    }

    fn check(&self, join: &Join) -> Result<(), ServiceError> {
        if join.protocol_version != PROTOCOL_VERSION {
            return Err(ServiceError::IncompatibleVersion(format!(
                "this worker speaks protocol version {} (program {}), the coordinator version {PROTOCOL_VERSION} \
                 (program {}): install the same release on both",
                join.protocol_version,
                join.identity.program_version,
                env!("CARGO_PKG_VERSION"),
            )));
        }
        let workers = self.rules.workers;
        if join.slot.0 >= workers {
            return Err(ServiceError::Invalid(format!(
                "--rank {} is out of range: this run has {workers} workers, so ranks are 0…{}",
                join.slot,
                workers - 1
            )));
        }
        if let Phase::Stopping { reason, .. } = &self.phase {
            return Err(ServiceError::Ending(format!("the run is stopping: {reason}")));
        }
        if self.has_ended() {
            return Err(ServiceError::Ending("the run is over".to_string()));
        }
        if self.probes.contains_key(&join.slot) {
            return Err(ServiceError::SlotTaken(format!(
                "slot {} is held, and another worker asks for it already",
                join.slot
            )));
        }
        self.check_hardware(join)
    }

    fn check_hardware(&self, join: &Join) -> Result<(), ServiceError> {
        if self.rules.hardware == HardwareRule::Mixed {
            return Ok(());
        }
        let others = self.members.iter().filter(|(slot, _)| **slot != join.slot);
        for (slot, member) in others {
            if kind(&member.identity) != kind(&join.identity) {
                return Err(ServiceError::Invalid(format!(
                    "this worker computes on {}, the worker in slot {slot} on {}: their results may differ in the \
                     last bits; use one kind, or give the coordinator --allow-mixed-hardware",
                    describe_kind(&join.identity),
                    describe_kind(&member.identity)
                )));
            }
        }
        Ok(())
    }
}

/// What must be equal for equal bits.
fn kind(identity: &Identity) -> (&str, &str) {
    (&identity.hardware, &identity.libtorch_version)
}

fn describe_kind(identity: &Identity) -> String {
    format!("{} with libtorch {}", identity.hardware, identity.libtorch_version)
}
