//! What the ranks do where they do not agree: all go back, tell each other whether what they hold then is what all had agreed
//! on, and judge.

use common::ids::{Rank, Step};

use super::agreement::{OldVectors, Standing};
use super::disagreement::{Disagreement, Matter};
use super::error::TrainerError;
use super::judgement::{Held, agree, judge};
use super::training::Trainer;
use crate::mathematics::kernels::Float;
use crate::network::ComputeError;
use crate::state::Position;

impl<T: Float> Trainer<T> {
    /// Goes back, and finds out with the others who is wrong; where nobody is, a failure is what it is.
    pub(super) fn settle_dispute(
        &mut self,
        claims: Vec<u64>,
        failure: Option<TrainerError>,
    ) -> Result<TrainerError, TrainerError> {
        let matter = self.matter();
        let old_vectors = self.go_back();
        let own = self.held(old_vectors)?;
        let held = self.gather_claims(own as u64)?.into_iter().map(Held::from_claim);
        let held: Vec<Held> = held.collect();
        let guilty = judge(&claims, &held);
        if let (true, Some(failure)) = (guilty.is_empty() && agree(&claims), failure) {
            return Ok(failure);
        }
        let claims = (0..).map(Rank).zip(claims).collect();
        let lost = (0..).map(Rank).zip(held).filter(|(_, held)| *held == Held::Lost);
        let lost = lost.map(|(rank, _)| rank).collect();
        // Who was given a state that nobody vouches for has none.
        let is_known = own == Held::Agreed || (own == Held::Given && !guilty.is_empty());
        Ok(self.disagreement(matter, (claims, lost), (guilty, is_known)))
    }

    /// That the ranks do not agree; whether what this one has then is known to be right unless it is guilty.
    pub(super) fn disagreement(
        &self,
        matter: Matter,
        (claims, lost): (Vec<(Rank, u64)>, Vec<Rank>),
        (guilty, is_known): (Vec<Rank>, bool),
    ) -> TrainerError {
        let me = self.engine.reduction.rank();
        let keeps = !guilty.contains(&me) && is_known;
        Box::new(Disagreement { matter, claims, lost, guilty, me, keeps }).into()
    }

    /// What the ranks have to agree on.
    fn matter(&self) -> Matter {
        let Position { epoch, step, .. } = self.state.position;
        match &self.agreement.standing {
            Standing::Claimed(back) if back.vectors == OldVectors::Current => {
                Matter::Stored(back.before.epoch())
            }
            Standing::Claimed(_) => Matter::Step { epoch, step: Step(step.0.saturating_sub(1)) },
            Standing::Agreed | Standing::Brought => Matter::Beginning(step),
        }
    }

    /// What this rank holds after it went back to vectors that were there.
    fn held(&mut self, old_vectors: Option<OldVectors>) -> Result<Held, TrainerError> {
        let copy = match old_vectors {
            Some(OldVectors::OnDevice) | None => self.is_copy_agreed()?,
            Some(OldVectors::Current | OldVectors::Spare) => None,
        };
        let is_agreed = match copy {
            Some(is_agreed) => is_agreed,
            None => {
                let Some(agreed) = self.agreement.agreed else { return Ok(Held::Given) };
                let Self { agreement, state, .. } = self;
                agreement.identity.of_memory::<T>(state).map_err(ComputeError::from)? == agreed
            }
        };
        Ok(if is_agreed { Held::Agreed } else { Held::Lost })
    }
}
