//! Who computes what the run has been computed with so far. What workers have proved counts; their processors' names and
//! libraries' versions say what may be the reason where they differ.

use std::sync::Arc;

use common::computing::Computing;
use common::ids::Slot;
use common::status::ServiceError;

use super::rules::HardwareRule;
use super::state::Membership;
use super::worker::Join;

impl Membership {
    /// # Errors
    /// The worker computes otherwise than the run was computed so far, or than who is here.
    pub(super) fn check_computing(&self, slot: Slot, join: &Join) -> Result<(), ServiceError> {
        if self.rules.hardware == HardwareRule::Mixed {
            return Ok(());
        }
        let own = &join.identity.computing;
        let (of, other) = match self.remembered(own) {
            Some(run) => ("this run was computed with so far".to_string(), run),
            // All who are here are alike.
            None => match self.members.iter().find(|(other, _)| **other != slot) {
                Some((slot, member)) => {
                    (format!("the worker in slot {slot} does"), &*member.identity.computing)
                }
                None => return Ok(()),
            },
        };
        if own.is_like(other) {
            return Ok(());
        }
        Err(ServiceError::Invalid(format!(
            "this worker computes other numbers than {of}: {}; give all workers the same, or give the coordinator \
             --allow-mixed-hardware, and equal bits up",
            own.differences(other)
        )))
    }

    /// What the run has been computed with so far, unless that was proved by another computation than a worker's own. Who
    /// proves nothing is held to the names.
    fn remembered(&self, own: &Computing) -> Option<&Computing> {
        let run = self.computing.as_deref()?;
        let proof = run.proof?;
        own.proof.is_none_or(|own| own.is_comparable(&proof)).then_some(run)
    }

    /// What the generation that begins with this member is computed with, to be remembered; none where members need not be
    /// alike.
    pub(super) fn remember_computing(&mut self, first: Slot) -> Option<Arc<Computing>> {
        if self.rules.hardware == HardwareRule::Mixed {
            return None;
        }
        let here = &self.members[&first].identity.computing;
        if self.remembered(here).is_none() {
            self.computing = Some(Arc::clone(here));
        }
        self.computing.clone()
    }
}
