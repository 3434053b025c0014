//! Who reaches whom: workers are told to try each other's addresses, and say what comes of it.
//!
//! Before workers compute together each has reached each of the others, in both directions: which of two connects is the
//! engine's choice. While a generation is formed they try several times a second; one that is set aside while the others
//! compute, from time to time. A worker that says nowhere that it listens is not tried.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use common::ids::Slot;

use super::event::{Decision, SessionId};
use super::state::{Member, Membership, Phase, Standing};

/// Between two tries while a generation waits for them.
const AT_ONCE: Duration = Duration::from_millis(200);
/// Between two tries of a worker that is set aside, while the others compute.
const FROM_TIME_TO_TIME: Duration = Duration::from_secs(5);
/// How long a worker may take to say whether it reaches another.
const PATIENCE: Duration = Duration::from_secs(3);

/// A worker that another is to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Names it.
    pub session: SessionId,
    /// Where.
    pub listens_at: Vec<SocketAddr>,
    /// What it answers there.
    pub answer: u64,
}

/// What came of trying to reach a worker.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Whom.
    pub peer: SessionId,
    /// Which of its addresses answered, or why none did.
    pub outcome: Result<Vec<usize>, String>,
}

/// What is known of one worker's way to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Contact {
    /// These of its addresses answer.
    Answered(Vec<usize>),
    /// None does, and why.
    Failed(String),
}

/// Whom a worker was told to try.
#[derive(Debug, Default)]
pub(super) struct Asked {
    peers: BTreeSet<SessionId>,
    every: Duration,
    since: Duration,
}

/// What is known of it at this moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way<'a> {
    /// Need not be known, or is open at these addresses.
    Open(Option<&'a [usize]>),
    /// It is being tried.
    Unknown,
    /// Closed, and why.
    Closed(&'a str),
}

impl Membership {
    /// A worker says whom it has reached.
    pub(super) fn contacted(
        &mut self,
        now: Duration,
        session: SessionId,
        attempts: Vec<Attempt>,
    ) -> Vec<Decision> {
        let Some(own) = self.slot_held_by(session) else { return Vec::new() };
        let mut mended = false;
        for Attempt { peer, outcome } in attempts {
            let addresses = self.member(peer).map_or(0, |peer| peer.identity.listens_at.len());
            let member = self.members.get_mut(&own).expect("the session holds it");
            let contact = match outcome {
                Ok(mut answered) => {
                    answered.retain(|address| *address < addresses);
                    if answered.is_empty() {
                        continue;
                    }
                    member.asked.peers.remove(&peer);
                    Contact::Answered(answered)
                }
                Err(_) if addresses == 0 => continue,
                Err(reason) => Contact::Failed(reason),
            };
            let is_open = matches!(contact, Contact::Answered(_));
            let before = member.contacts.insert(peer, contact);
            mended |= is_open && matches!(before, Some(Contact::Failed(_)));
        }
        if mended {
            self.end_pause(now);
        }
        let mut decisions = self.take_in_spares(now);
        decisions.extend(self.try_start(now));
        decisions
    }

    /// What was known between the members of the last generation may hold no longer.
    pub(super) fn doubt_contacts(&mut self) {
        let ranked = |member: &&Member| member.rank.is_some();
        let sessions: BTreeSet<SessionId> =
            self.members.values().filter(ranked).map(|member| member.session).collect();
        for member in self.members.values_mut().filter(|member| member.rank.is_some()) {
            member.contacts.retain(|peer, _| !sessions.contains(peer));
        }
    }

    /// A session is over, and what was known of the way to its worker.
    pub(super) fn forget_contacts(&mut self, session: SessionId) {
        for member in self.members.values_mut() {
            member.contacts.remove(&session);
            member.asked.peers.remove(&session);
        }
    }

    /// Tells everybody whom to try now, where that differs from before.
    pub(super) fn seek_contacts(&mut self, now: Duration) -> Vec<Decision> {
        let mut decisions = Vec::new();
        let slots: Vec<Slot> = self.members.keys().copied().collect();
        for slot in slots {
            let (peers, every) = self.sought_by(slot);
            let member = &self.members[&slot];
            if member.asked.peers == peers && (peers.is_empty() || member.asked.every == every) {
                continue;
            }
            let told = |peer: &SessionId| {
                let Member { session, identity, .. } = &self.members[&self.slot_of[peer]];
                let (listens_at, answer) = (identity.listens_at.clone(), identity.answer);
                Peer { session: *session, listens_at, answer }
            };
            let told: Vec<Peer> = peers.iter().map(told).collect();
            decisions.push(Decision::Contact { session: member.session, peers: told, every });
            let member = self.members.get_mut(&slot).expect("it is a member's slot");
            member.asked = Asked { peers, every, since: now };
        }
        decisions
    }

    /// Whom a member is to try, and how often.
    fn sought_by(&self, slot: Slot) -> (BTreeSet<SessionId>, Duration) {
        let member = &self.members[&slot];
        let nobody = (BTreeSet::new(), AT_ONCE);
        if member.identity.listens_at.is_empty() || self.stores_only() {
            return nobody;
        }
        let is_forming = self.phase == Phase::Forming;
        if !is_forming && !self.has_room() {
            return nobody;
        }
        let is_spare = |member: &Member| member.standing == Standing::Waiting && !member.draining;
        // While the others compute it is the spares' ways that are of interest.
        let concerns = |peer: &Member| is_forming || is_spare(member) || is_spare(peer);
        let peers = self.members.values().filter(|peer| {
            peer.session != member.session
                && !peer.identity.listens_at.is_empty()
                && concerns(peer)
                && !matches!(member.contacts.get(&peer.session), Some(Contact::Answered(_)))
        });
        let peers: BTreeSet<SessionId> = peers.map(|peer| peer.session).collect();
        let is_new = peers.iter().any(|peer| !member.contacts.contains_key(peer));
        (peers, if is_forming || is_new { AT_ONCE } else { FROM_TIME_TO_TIME })
    }

    /// The way from one member to another.
    pub(super) fn way<'a>(&self, now: Duration, from: &'a Member, to: &Member) -> Way<'a> {
        if from.identity.listens_at.is_empty() || to.identity.listens_at.is_empty() {
            return Way::Open(None);
        }
        match from.contacts.get(&to.session) {
            Some(Contact::Answered(addresses)) => Way::Open(Some(addresses)),
            Some(Contact::Failed(reason)) => Way::Closed(reason),
            None if from.asked.peers.contains(&to.session)
                && now.saturating_sub(from.asked.since) >= PATIENCE =>
            {
                Way::Closed("it does not say what comes of trying")
            }
            None => Way::Unknown,
        }
    }
}
