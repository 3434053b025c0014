//! How the ranks prove that they agree where a device computes: each step tells what every rank claims of the state that it
//! read. So a step is committed here before all are known to agree on it, which the next one tells; until then the device
//! keeps the copy of the state before. Where something is made of the state the ranks compare what has come to the hosts, too.

use super::error::TrainerError;
use super::training::Trainer;
use crate::accelerator::numbers::{DeviceClaim, Report};
use crate::mathematics::kernels::Float;
use crate::mathematics::kernels::digest::digest;

impl<T: Float> Trainer<T> {
    /// A step has told what every rank claims of the state before it: that is agreed on, or all go back.
    ///
    /// # Errors
    /// The ranks do not agree, or agree that the run cannot go on; the state is the one before then.
    pub(super) fn settle_told_claims(&mut self, report: &Report) -> Result<(), TrainerError> {
        let of = |claim: &DeviceClaim| digest(&[claim.host, claim.copy]);
        self.compare_states(report.claims.iter().map(of).collect())?;
        let own = report.claims.get(self.engine.reduction.rank().index());
        self.agreement.agree_on_copy(own.map(|claim| claim.copy));
        self.accelerator().ring.agree();
        Ok(())
    }

    /// Proves the state that is here, or that the run cannot go on.
    ///
    /// # Errors
    /// As [`Self::settle_told_claims`], or a peer is lost.
    pub(super) fn agree_on_memory(
        &mut self,
        failure: Option<TrainerError>,
    ) -> Result<(), TrainerError> {
        self.claim_memory(failure)?;
        self.agree_now()?;
        self.accelerator().ring.agree();
        if !self.config.allow_mixed_hardware {
            // All of it has gone out.
            self.run().unconfirmed.clear();
        }
        Ok(())
    }

    /// Whether the copy that all have agreed on still is the one that they have agreed on; nothing where that is not known.
    pub(super) fn is_copy_agreed(&self) -> Result<Option<bool>, TrainerError> {
        let Some(agreed) = self.agreement.agreed_copy else { return Ok(None) };
        Ok(self.identity_of_copy()?.map(|identity| identity == agreed))
    }

    /// The copy that all have agreed on was brought here, so that what it is can be told to the next generation. Whether it
    /// still is what they have agreed on, as far as that is known.
    pub(super) fn keep_what_is_agreed(&mut self) -> Result<bool, TrainerError> {
        let is_agreed = self.is_copy_agreed()?;
        if self.agreement.agreed.is_none() && is_agreed == Some(true) {
            let Self { agreement, state, .. } = self;
            agreement.bring::<T>(state)?;
        }
        Ok(is_agreed != Some(false))
    }
}
