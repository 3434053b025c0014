//! What `status` and the progress display show of the membership.

use std::time::Duration;

use common::ids::{Generation, Rank, Slot};

use super::event::Outcome;
use super::state::{Membership, Phase, Standing};
use super::worker::{Identity, Report};

/// Missing slots that a message lists before it only counts them.
const LISTED_SLOTS: usize = 8;

/// The membership at one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// "waiting for workers", "regrouping", "training", "stopping", "finished", "failed".
    pub phase: &'static str,
    /// Why it is in that phase.
    pub reason: String,
    /// The running generation, 0 before the first.
    pub generation: Generation,
    /// How many workers the run shall have.
    pub wanted: u32,
    /// Generations that ended by a loss.
    pub losses: u64,
    /// Generations in a row that have made no step.
    pub fruitless: u64,
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
    /// Why it takes no part though it is here, where that is not for want of work.
    pub aside: Option<String>,
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
            aside: member.aside.clone(),
        });
        View {
            phase,
            reason,
            generation: self.generation,
            wanted: self.wanted,
            losses: self.losses,
            fruitless: self.pausing.fruitless,
            members: members.collect(),
        }
    }

    /// Why the run is in its phase, in words.
    pub fn reason(&self) -> String {
        self.describe_phase().1
    }

    fn describe_phase(&self) -> (&'static str, String) {
        match (&self.phase, &self.stop) {
            (Phase::Ended(Outcome::Completed), _) => ("finished", "every step is done".to_string()),
            (Phase::Ended(Outcome::Stopped { reason }), _) => {
                ("finished", format!("stopped: {reason}"))
            }
            (Phase::Ended(Outcome::Failed { reason, .. }), _) => ("failed", reason.clone()),
            (_, Some(stop)) => ("stopping", stop.reason.clone()),
            (Phase::Training, None) => ("training", self.describe_members()),
            (Phase::Forming, None) if self.is_regrouping() => ("regrouping", self.cause.clone()),
            (Phase::Forming, None) => ("waiting for workers", self.describe_missing()),
        }
    }

    fn is_regrouping(&self) -> bool {
        self.members.values().any(|member| matches!(member.standing, Standing::Leaving { .. }))
    }

    fn describe_members(&self) -> String {
        let all = self.members.len();
        let spares = self.members.values().filter(|member| member.rank.is_none()).count();
        let aside = self.describe_aside();
        let missing = (self.wanted as usize).saturating_sub(all);
        match (missing, spares) {
            (0, 0) => format!("all {all} workers are here"),
            (0, spares) => format!("all {all} workers are here, {spares} of them to spare{aside}"),
            (missing, _) => format!("{all} workers are here, {missing} are missing{aside}"),
        }
    }

    fn describe_missing(&self) -> String {
        // One more than are listed: a run may wait for thousands.
        let mut held = self.members.keys().peekable();
        let is_missing = |slot: &Slot| held.next_if_eq(&slot).is_none();
        let missing: Vec<_> =
            (0..self.wanted).map(Slot).filter(is_missing).take(LISTED_SLOTS + 1).collect();
        let listed: Vec<_> = missing.iter().take(LISTED_SLOTS).map(Slot::to_string).collect();
        let more = if missing.len() > LISTED_SLOTS { ", …" } else { "" };
        let here = format!("{} of {} workers are here", self.members.len(), self.wanted);
        let aside = self.describe_aside();
        let fruitless = self.pausing.fruitless;
        match missing.is_empty() {
            false => format!("{here}, missing: rank {}{more}{aside}", listed.join(", ")),
            true if !aside.is_empty() => format!("{here}{aside}"),
            true if fruitless > 0 => {
                format!(
                    "{here}, a pause after {fruitless} generations in a row without a step: {}",
                    self.cause
                )
            }
            true if self.absent.is_empty() => format!("{here}, they try to reach each other"),
            true => format!("{here}, others may come back with the newest state"),
        }
    }

    /// Who is set aside, and why.
    fn describe_aside(&self) -> String {
        let reasons: Vec<&str> =
            self.members.values().filter_map(|member| member.aside.as_deref()).collect();
        match reasons[..] {
            [] => String::new(),
            [one] => format!("; one is set aside: {one}"),
            [first, ..] => format!("; {} are set aside, the first because {first}", reasons.len()),
        }
    }
}
