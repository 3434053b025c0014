//! Who may join, and the probe of a slot's holder when a second worker asks for its slot.

use std::collections::HashMap;
use std::time::Duration;

use common::ids::{Generation, Slot};
use common::status::ServiceError;
use proto::PROTOCOL_VERSION;

use super::contacts::Asked;
use super::ending::over;
use super::event::{Decision, SessionId};
use super::state::{Member, Membership, Phase, Probe, Standing};
use super::worker::{Held, Identity, Join, Report};

impl Membership {
    pub(super) fn join(&mut self, now: Duration, join: Join) -> Vec<Decision> {
        // A session has one slot, or asks for one.
        if self.slot_of.contains_key(&join.session) {
            return Vec::new();
        }
        let slot = match self.check(&join) {
            Ok(slot) => slot,
            Err(error) => return vec![Decision::Refuse { session: join.session, error }],
        };
        let join = Join { slot: Some(slot), ..join };
        let Some(holder) = self.members.get(&slot) else {
            return self.admit(now, slot, join);
        };
        // Its worker has given the old connection up, and its generation with it.
        let is_back = is_same_process(&holder.identity, &join.identity);
        if is_back || self.is_worth_more(&join, holder) {
            let cause = match is_back {
                true => "has come back over a new connection",
                false => "made room for one that has the run's state",
            };
            let mut decisions = self.lose(now, slot, cause);
            if is_back {
                self.absent.remove(&slot);
            }
            decisions.extend(self.join(now, join));
            return decisions;
        }
        let ping = Decision::Ping { session: holder.session };
        self.slot_of.insert(join.session, slot);
        let deadline = now + self.rules.timing.probe_timeout;
        self.probes.insert(slot, Probe { candidate: join, deadline });
        vec![ping]
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
        vec![self.refuse_candidate(probe, error)]
    }

    /// Evicts the holders that did not answer their probe in time.
    pub(super) fn settle_probes(&mut self, now: Duration) -> Vec<Decision> {
        let expired = |probe: &Probe| now >= probe.deadline;
        let slots: Vec<Slot> =
            self.probes.iter().filter(|(_, probe)| expired(probe)).map(|(slot, _)| *slot).collect();
        let cause = "did not answer when another worker asked for its slot";
        slots.into_iter().flat_map(|slot| self.lose(now, slot, cause)).collect()
    }

    pub(super) fn refuse_candidate(&mut self, probe: Probe, error: ServiceError) -> Decision {
        self.slot_of.remove(&probe.candidate.session);
        Decision::Refuse { session: probe.candidate.session, error }
    }

    fn admit(&mut self, now: Duration, slot: Slot, join: Join) -> Vec<Decision> {
        let Join { session, identity, held, .. } = join;
        let holds = held.filter(|held| self.is_current(held)).map(|held| held.reached);
        // Whoever is back is not waited for, with a state or without.
        let is_awaited = |lost: &Option<Identity>| {
            lost.as_ref().is_none_or(|lost| !is_same_process(lost, &identity))
        };
        if holds.is_some() || !self.absent.get(&slot).is_none_or(is_awaited) {
            self.absent.remove(&slot);
        }
        self.released.remove(&slot);
        self.departed.remove(&slot);
        self.early_exits.remove(&slot);
        self.slot_of.insert(session, slot);
        let member = Member {
            session,
            identity,
            rank: None,
            last_heard: now,
            report: Report::default(),
            standing: Standing::Waiting,
            holds,
            draining: false,
            asked: Asked::default(),
            contacts: HashMap::new(),
            proven: false,
            suspect: None,
            aside: None,
        };
        self.members.insert(slot, member);
        self.wanted = self.wanted.max(self.members.len() as u32);
        let mut decisions = vec![Decision::Admit { session, slot }];
        decisions.extend(self.take_in_spares(now));
        decisions.extend(self.try_start(now));
        decisions
    }

    /// Whether a worker comes back with the state that nobody here has, to find a newcomer in its slot.
    fn is_worth_more(&self, join: &Join, holder: &Member) -> bool {
        let has_state = join.held.as_ref().is_some_and(|held| self.is_current(held));
        let nobody_has = self.members.values().all(|member| member.holds.is_none());
        has_state && nobody_has && holder.standing == Standing::Waiting
    }

    /// Whether a state is one that the next generation may go on from. While a generation runs its members' states are
    /// the only ones, and older ones are of no use.
    fn is_current(&self, held: &Held) -> bool {
        self.phase == Phase::Forming
            && held.run == self.rules.run
            && held.generation == self.generation
            && self.generation != Generation(0)
    }

    /// The slot that a worker may have, or why it may not join.
    fn check(&self, join: &Join) -> Result<Slot, ServiceError> {
        if join.protocol_version != PROTOCOL_VERSION {
            return Err(ServiceError::IncompatibleVersion(format!(
                "this worker speaks protocol version {} (program {}), the coordinator version {PROTOCOL_VERSION} \
                 (program {}): install the same release on both",
                join.protocol_version,
                join.identity.program_version,
                env!("CARGO_PKG_VERSION"),
            )));
        }
        if let Phase::Ended(outcome) = &self.phase {
            return Err(over(outcome));
        }
        if let Some(stop) = &self.stop
            && join.held.is_none()
        {
            return Err(ServiceError::Ending(format!("the run is stopping: {}", stop.reason)));
        }
        let slot = self.place(join)?;
        if self.probes.contains_key(&slot) {
            return Err(ServiceError::SlotTaken(format!(
                "slot {slot} is held, and another worker asks for it already"
            )));
        }
        if !self.members.contains_key(&slot) && self.members.len() >= self.limit as usize {
            return Err(ServiceError::SlotTaken(format!(
                "the run has the {} workers that it is scaled to; `coordinator scale` makes room",
                self.limit
            )));
        }
        self.check_computing(slot, join)?;
        Ok(slot)
    }
}

/// Containers may share an address and number their processes alike: what a process has drawn counts, too.
pub(super) fn is_same_process(holder: &Identity, candidate: &Identity) -> bool {
    let of = |identity: &Identity| (identity.process_id, identity.incarnation);
    of(holder) == of(candidate) && holder.host == candidate.host
}
