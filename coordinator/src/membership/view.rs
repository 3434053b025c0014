//! What `status` and the progress display show of the membership.

use std::time::Duration;

use common::ids::{Generation, Rank, Slot};

use super::event::{Identity, Outcome, Report};
use super::{Membership, Phase};

/// Missing slots that a message lists before it only counts them.
const LISTED_SLOTS: usize = 8;

/// The membership at one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// "waiting for workers", "training", "stopping", "finished", "failed".
    pub phase: &'static str,
    /// Why it is in that phase.
    pub reason: String,
    /// The running generation, 0 before the first.
    pub generation: Generation,
    /// Holders of slots, in slot order.
    pub members: Vec<MemberView>,
}

/// One member at one moment.
#[derive(Clone, Debug)]
pub struct MemberView {
    /// Its stable number.
    pub slot: Slot,
    /// Its place in the generation, once that began.
    pub rank: Option<Rank>,
    /// What it is.
    pub identity: Identity,
    /// Its latest heartbeat.
    pub report: Report,
    /// How long ago it was heard.
    pub silence: Duration,
}

impl Membership {
    /// The membership as of `now`.
    pub fn view(&self, now: Duration) -> View {
        let (phase, reason) = self.describe_phase();
        let members = self.members.iter().map(|(slot, member)| MemberView {
            slot: *slot,
            rank: member.rank,
            identity: member.identity.clone(),
            report: member.report.clone(),
            silence: now.saturating_sub(member.last_heard),
        });
        View { phase, reason, generation: self.generation, members: members.collect() }
    }

    fn describe_phase(&self) -> (&'static str, String) {
        match &self.phase {
            Phase::Waiting => ("waiting for workers", self.describe_missing()),
            Phase::Training => ("training", format!("all {} workers are here", self.members.len())),
            Phase::Stopping { reason, .. } => ("stopping", reason.clone()),
            Phase::Ended(Outcome::Completed) => ("finished", "every step is done".to_string()),
            Phase::Ended(Outcome::Stopped { reason }) => ("finished", format!("stopped: {reason}")),
            Phase::Ended(Outcome::Failed { reason, .. }) => ("failed", reason.clone()),
        }
    }

    fn describe_missing(&self) -> String {
        let slots = (0..self.rules.workers).map(Slot);
        let missing: Vec<_> = slots.filter(|slot| !self.members.contains_key(slot)).collect();
        let listed: Vec<_> = missing.iter().take(LISTED_SLOTS).map(Slot::to_string).collect();
        let more = if missing.len() > LISTED_SLOTS { ", …" } else { "" };
        format!(
            "{} of {} workers are here, missing: rank {}{more}",
            self.members.len(),
            self.rules.workers,
            listed.join(", ")
        )
    }
}
