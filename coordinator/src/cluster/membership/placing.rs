//! The slot of a worker: the one that it asks for, or one that is free.

use common::ids::Slot;
use common::status::ServiceError;

use super::admission::is_same_process;
use super::rules::Spawning;
use super::state::Membership;
use super::worker::Join;

impl Membership {
    /// The slot that a worker asks for, or a free one where it asks for none.
    pub(super) fn place(&self, join: &Join) -> Result<Slot, ServiceError> {
        match join.slot {
            Some(slot) => self.check_range(slot),
            // It has not heard which it was given, and its old connection is not known to be lost yet.
            None => self
                .slot_of_process(join)
                .or_else(|| self.free_slot())
                .ok_or_else(|| self.no_slot_left()),
        }
    }

    /// The lowest slot that nobody holds. Those of survivors who may come back with the run's state, which nobody here
    /// has, are given away last; those that a worker is being started for are not.
    fn free_slot(&self) -> Option<Slot> {
        let free = (0..self.rules.max_workers)
            .map(Slot)
            .filter(|slot| !self.members.contains_key(slot) && !self.is_being_started(*slot));
        let state_is_here =
            self.members.values().any(|member| member.holds.is_some() || member.is_in_generation());
        free.min_by_key(|slot| (!state_is_here && self.absent.contains_key(slot), *slot))
    }

    /// Whether a process that the coordinator started, or will start again, is to hold the slot.
    fn is_being_started(&self, slot: Slot) -> bool {
        let started = self.rules.workers.max(self.wanted);
        self.rules.spawning == Spawning::Spawned
            && slot.0 < started
            && !self.released.contains(&slot)
    }

    fn slot_of_process(&self, join: &Join) -> Option<Slot> {
        let mut members = self.members.iter();
        members
            .find(|(_, member)| is_same_process(&member.identity, &join.identity))
            .map(|it| *it.0)
    }

    fn check_range(&self, slot: Slot) -> Result<Slot, ServiceError> {
        let slots = self.rules.max_workers;
        if slot.0 < slots {
            return Ok(slot);
        }
        let kind = if slots == self.rules.workers { "" } else { "up to " };
        Err(ServiceError::Invalid(format!(
            "--rank {slot} is out of range: this run has {kind}{slots} workers, so ranks are 0…{}",
            slots - 1
        )))
    }

    fn no_slot_left(&self) -> ServiceError {
        let slots = self.rules.max_workers;
        ServiceError::SlotTaken(match self.rules.spawning {
            Spawning::ByHand => format!(
                "each of the run's {slots} slots has a worker; --max-workers, given when the coordinator is started or \
                 resumed, allows more"
            ),
            Spawning::Spawned => format!(
                "the coordinator starts the workers of this run itself (--spawn), for all of its {slots} slots; \
                 --max-workers allows more"
            ),
        })
    }
}
