//! Which members can compute together: those that reach each other, over addresses of one family.
//!
//! `forming` asks for it before a generation begins. Where some do not reach each other as few as possible are set aside:
//! newcomers before those that have done steps together, and never the last one that has the run's state.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use common::ids::Slot;

use super::contacts::Way;
use super::state::{Member, Membership};
use super::unreachable;

/// Those that can compute together.
#[derive(Debug, Default)]
pub(super) struct Crew {
    /// Who.
    pub(super) slots: BTreeSet<Slot>,
    /// Where the others reach each, as far as that was tried.
    pub(super) addresses: BTreeMap<Slot, IpAddr>,
    /// Who cannot, and why.
    pub(super) aside: BTreeMap<Slot, String>,
    /// Some have yet to say whether they reach each other.
    pub(super) is_open: bool,
}

/// The engine connects addresses of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Four,
    Six,
}

impl Family {
    fn has(self, address: &SocketAddr) -> bool {
        address.is_ipv4() == (self == Self::Four)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Four => "IPv4",
            Self::Six => "IPv6",
        }
    }
}

impl Membership {
    /// The largest part of `among` that can compute together, the `holders` of the newest state before others.
    pub(super) fn crew(
        &self,
        now: Duration,
        among: &BTreeSet<Slot>,
        holders: &BTreeSet<Slot>,
    ) -> Crew {
        let knows = |family: Family| {
            let mut addresses =
                among.iter().flat_map(|slot| &self.members[slot].identity.listens_at);
            addresses.any(|address| family.has(address))
        };
        let families = [Family::Four, Family::Six].into_iter().filter(|family| knows(*family));
        let crews = families.map(|family| self.crew_in(now, family, among, holders));
        // Of equally good ones the first.
        let best = crews.reduce(|one, other| {
            let worth = |crew: &Crew| (self.proven_among(&crew.slots), crew.slots.len());
            if worth(&other) > worth(&one) { other } else { one }
        });
        best.unwrap_or_else(|| Crew { slots: among.clone(), ..Crew::default() })
    }

    fn proven_among(&self, slots: &BTreeSet<Slot>) -> usize {
        slots.iter().filter(|slot| self.members[slot].proven).count()
    }

    fn crew_in(
        &self,
        now: Duration,
        family: Family,
        among: &BTreeSet<Slot>,
        holders: &BTreeSet<Slot>,
    ) -> Crew {
        let mut crew = Crew { slots: among.clone(), ..Crew::default() };
        crew.slots.retain(|slot| match self.lacks(family, *slot) {
            Some(why) => {
                crew.aside.insert(*slot, why);
                false
            }
            None => true,
        });
        let mut faults = self.faults(now, family, &crew.slots);
        while let Some(slot) = self.worst(&faults, &crew.slots, holders) {
            crew.slots.remove(&slot);
            let ways = faults.remove(&slot).unwrap_or_default();
            for peer in ways.keys() {
                if let Some(others) = faults.get_mut(peer) {
                    others.remove(&slot);
                }
            }
            // A way to or from one that stays says more than one between two that do not.
            let shown = ways.iter().find(|(peer, _)| !crew.aside.contains_key(peer));
            let why = shown.or(ways.iter().next()).map(|(_, why)| why.clone());
            crew.aside.insert(slot, why.unwrap_or_default());
        }
        self.choose_addresses(now, family, &mut crew);
        crew.is_open = self.pairs(&crew.slots).any(|(one, other)| {
            self.way(now, one, other) == Way::Unknown || self.way(now, other, one) == Way::Unknown
        });
        crew
    }

    /// Why a member cannot take part over a family.
    fn lacks(&self, family: Family, slot: Slot) -> Option<String> {
        let listens_at = &self.members[&slot].identity.listens_at;
        let lacks = !listens_at.is_empty() && !listens_at.iter().any(|it| family.has(it));
        lacks.then(|| {
            let own = listens_at[0].ip();
            unreachable::other_family(&self.name(slot), own, family.name())
        })
    }

    fn pairs<'a>(
        &'a self,
        slots: &'a BTreeSet<Slot>,
    ) -> impl Iterator<Item = (&'a Member, &'a Member)> {
        let of = |slot: &Slot| &self.members[slot];
        let later = |slot: Slot| slots.range(slot..).skip(1);
        slots.iter().flat_map(move |slot| later(*slot).map(move |peer| (of(slot), of(peer))))
    }

    /// For each member those that it does not reach, or that do not reach it, and why.
    fn faults(
        &self,
        now: Duration,
        family: Family,
        slots: &BTreeSet<Slot>,
    ) -> BTreeMap<Slot, BTreeMap<Slot, String>> {
        let mut faults: BTreeMap<Slot, BTreeMap<Slot, String>> = BTreeMap::new();
        for (one, other) in self.pairs(slots) {
            let closed = [(one, other), (other, one)].into_iter().find_map(|(from, to)| {
                let why = self.is_closed(now, family, from, to)?;
                Some((self.slot_of[&from.session], self.slot_of[&to.session], why))
            });
            if let Some((from, to, why)) = closed {
                faults.entry(from).or_default().insert(to, why.clone());
                faults.entry(to).or_default().insert(from, why);
            }
        }
        faults
    }

    fn is_closed(
        &self,
        now: Duration,
        family: Family,
        from: &Member,
        to: &Member,
    ) -> Option<String> {
        let listens_at = &to.identity.listens_at;
        let why = match self.way(now, from, to) {
            Way::Unknown | Way::Open(None) => return None,
            Way::Open(Some(open)) if open.iter().any(|it| family.has(&listens_at[*it])) => {
                return None;
            }
            Way::Open(Some(_)) => "it answers at addresses of another family only",
            Way::Closed(why) => why,
        };
        let of = |member: &Member| self.name(self.slot_of[&member.session]);
        let address = listens_at.iter().find(|it| family.has(it)).unwrap_or(&listens_at[0]);
        let own = from.identity.listens_at[0].ip();
        Some(unreachable::words((&of(from), own), (&of(to), *address), why))
    }

    /// Whom to set aside next; none where all that are left reach each other.
    fn worst(
        &self,
        faults: &BTreeMap<Slot, BTreeMap<Slot, String>>,
        slots: &BTreeSet<Slot>,
        holders: &BTreeSet<Slot>,
    ) -> Option<Slot> {
        let is_last = holders.intersection(slots).count() == 1;
        let holds = |slot: &Slot| holders.contains(slot);
        let may_go = |slot: &Slot| !is_last || !holds(slot);
        let faulty = faults.iter().filter(|(slot, ways)| !ways.is_empty() && may_go(slot));
        let rank = |slot: &Slot, ways: &BTreeMap<Slot, String>| {
            (!self.members[slot].proven, !holds(slot), ways.len(), *slot)
        };
        faulty.max_by_key(|(slot, ways)| rank(slot, ways)).map(|(slot, _)| *slot)
    }

    /// For each the first of its addresses that all others reach.
    fn choose_addresses(&self, now: Duration, family: Family, crew: &mut Crew) {
        let slots: Vec<Slot> = crew.slots.iter().copied().collect();
        for slot in slots {
            let member = &self.members[&slot];
            let listens_at = &member.identity.listens_at;
            let others = || crew.slots.iter().filter(|other| **other != slot);
            let reached = |index: &usize| {
                others().all(|other| match self.way(now, &self.members[other], member) {
                    Way::Open(Some(open)) => open.contains(index),
                    _ => true,
                })
            };
            let mut own = (0..listens_at.len()).filter(|index| family.has(&listens_at[*index]));
            match own.find(reached) {
                Some(index) => {
                    crew.addresses.insert(slot, listens_at[index].ip());
                }
                None if listens_at.is_empty() => {}
                None => {
                    crew.slots.remove(&slot);
                    crew.aside.insert(slot, unreachable::no_common_address(&self.name(slot)));
                }
            }
        }
    }
}
