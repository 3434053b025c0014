//! The ranks prove to each other that they have computed the same. What each has made of a step it claims, in 64 bits, along
//! with the first sum of the next step, or in an exchange of its own where none follows; nothing of a step goes out
//! before all claims are the same.
//!
//! A fault inside a step reaches every rank through the sums before the claims differ. So the state before the step is kept
//! until they agree: on a difference all go back to it, find out who is wrong, and the step is done again without that
//! one, in another generation. What breaks a generation meanwhile takes the unproved step with it, too.
//!
//! What a rank finds out by itself changes none of its exchanges, as its peers would wait for the others in vain: a loss that
//! is no finite number is claimed like everything else.

use std::ops::Range;

use common::ids::{Rank, Step};

use super::claims::{Claim, Claims};
use super::disagreement::{Disagreement, Matter};
use super::error::TrainerError;
use super::judgement::{agree, judge};
use super::training::Trainer;
use crate::fault::{Part, Phase};
use crate::mathematics::kernels::Float;
use crate::mathematics::kernels::digest::digest;
use crate::mathematics::optimizer::Vectors;
use crate::network::ComputeError;
use crate::network::trace::Trace;
use crate::reduction::small::Rows;
use crate::state::{Before, Identity, Position, State};

/// Claimed of a step that has left no finite numbers: those that it has left may differ between machines.
const DIVERGED: u64 = 0;
/// Claimed by workers that need not compute alike.
const MIXED: u64 = 1;

/// What this rank claims, and what it goes back to.
pub struct Agreement {
    identity: Identity,
    /// Of the state as it is, and of the files that were made of it; of the step's logical shards where they were
    /// cross-checked.
    claim: Claim,
    /// Of the state as it is.
    current: u64,
    /// Of the state that all have agreed on last.
    agreed: Option<u64>,
    standing: Standing,
    /// Memory for the vectors that the next step writes; afterwards those before it.
    pub(super) spare: Vectors,
    /// Why the run cannot go on, if all claim the same.
    divergence: Option<TrainerError>,
}

/// What the ranks know of the state as it is.
enum Standing {
    /// They agree on it.
    Agreed,
    /// A generation begins with it.
    Brought,
    /// It is claimed. Without a way back it is lost if they do not agree.
    Claimed(Option<Box<Back>>),
}

/// The way back.
pub(super) struct Back {
    pub(super) before: Before,
    /// Whether the vectors change, too: the old ones are in the spare memory then.
    vectors: bool,
    /// The next upload's number.
    uploads: u64,
}

impl Agreement {
    /// Of a generation that begins with `state`; `agreed` is what the ranks of an earlier one had agreed on.
    ///
    /// # Errors
    /// The parameters are not of this precision, or not in this machine's memory.
    pub fn begin<T: Float>(state: &State, agreed: Option<u64>) -> Result<Self, ComputeError> {
        let mut identity = Identity::default();
        let current = identity.of_memory::<T>(state)?;
        Ok(Self {
            identity,
            claim: Claim { state: digest(&[current, 0]), shards: Vec::new() },
            current,
            agreed,
            standing: Standing::Brought,
            spare: Vectors::like(&state.flat, &state.optimizer),
            divergence: None,
        })
    }

    /// The identity of the state that is left, where all had agreed on it.
    pub fn agreed(&self) -> Option<u64> {
        self.agreed
    }

    /// The state is another by now.
    pub fn forget(&mut self) {
        self.agreed = None;
    }

    /// Whether what is left is a state that was agreed on, or brought along.
    pub fn is_whole(&self) -> bool {
        !matches!(self.standing, Standing::Claimed(_))
    }
}

impl<T: Float> Trainer<T> {
    /// What this rank claims, to travel along with a sum.
    pub(super) fn claim(&self) -> Rows {
        self.agreement.claim.to_rows(&self.shards_claimed())
    }

    /// Of how many logical shards each rank claims something.
    fn shards_claimed(&self) -> Vec<usize> {
        let is_checked = !self.agreement.claim.shards.is_empty();
        let count = |(owned, _): &(Range<usize>, _)| if is_checked { owned.len() + 1 } else { 0 };
        self.checkers(self.state.position.step).iter().map(count).collect()
    }

    /// The way back to the state as it is, which all have agreed on. `vectors` says whether those are about to change.
    pub(super) fn way_back(&self, vectors: bool) -> Back {
        Back { before: Before::of(&self.state), vectors, uploads: self.reporter.end() }
    }

    /// A step has changed the state, and written vectors of these digests.
    pub(super) fn claim_step(
        &mut self,
        back: Back,
        vectors: &[u64],
        divergence: Option<TrainerError>,
    ) {
        let shards = self.engine.trace.take().map(Trace::into_parts).unwrap_or_default();
        let agreement = &mut self.agreement;
        agreement.current = agreement.identity.of(&self.state, vectors);
        agreement.standing = Standing::Claimed(Some(Box::new(back)));
        let state = match divergence {
            Some(_) => DIVERGED,
            None => self.claim_of_the_state(),
        };
        self.agreement.claim = Claim { state, shards };
        self.agreement.divergence = divergence;
    }

    /// The state has changed, and is read anew.
    pub(super) fn claim_memory(&mut self, back: Option<Back>) -> Result<(), TrainerError> {
        let Self { agreement, state, .. } = self;
        agreement.current = agreement.identity.of_memory::<T>(state).map_err(ComputeError::from)?;
        agreement.standing = Standing::Claimed(back.map(Box::new));
        self.agreement.claim = Claim { state: self.claim_of_the_state(), shards: Vec::new() };
        Ok(())
    }

    /// What is claimed of the state and of the files that were made of it. Workers that need not compute alike are not held to
    /// it.
    fn claim_of_the_state(&self) -> u64 {
        if self.config.allow_mixed_hardware {
            return MIXED;
        }
        let claim = digest(&[self.agreement.current, self.reporter.files()]);
        let flip = self.faults.flip(Phase::Commit, |part| part == Part::Claim);
        claim ^ u64::from(flip.is_some())
    }

    /// Every rank's claims are here: what is told of the state may go out, or all go back.
    ///
    /// # Errors
    /// The ranks do not agree, or agree that the run cannot go on; the state is the one before then.
    pub(super) fn settle_claims(&mut self, rows: &[f64]) -> Result<(), TrainerError> {
        let parts = self.agreement.claim.parts();
        let claims = Claims::from_rows(rows, &self.shards_claimed(), parts);
        let divergence = self.agreement.divergence.take();
        let states = claims.states();
        if !agree(&states) {
            return Err(self.settle_dispute(states, None)?);
        }
        let step = Step(self.state.position.step.0.saturating_sub(1));
        if let Some(difference) = claims.difference(&self.checkers(step)) {
            return Err(self.settle_difference(difference)?);
        }
        if divergence.is_some() {
            return Err(self.settle_dispute(states, divergence)?);
        }
        self.agreement.agreed = Some(self.agreement.current);
        self.agreement.standing = Standing::Agreed;
        self.confirm()
    }

    /// Exchanges the claims, where no step's first sum follows that they could travel with.
    ///
    /// # Errors
    /// As [`Self::settle_claims`], or a peer is lost.
    pub(super) fn agree_now(&mut self) -> Result<(), TrainerError> {
        if matches!(self.agreement.standing, Standing::Agreed) {
            return Ok(());
        }
        let rows = self.claim();
        let rows = self.engine.reduction.gather(rows)?;
        self.settle_claims(&rows)
    }

    /// What every rank claims of something else.
    pub(super) fn gather_claims(&mut self, own: u64) -> Result<Vec<u64>, TrainerError> {
        let nothing = vec![0; self.engine.reduction.world_size().index()];
        let rows = Claim { state: own, shards: Vec::new() }.to_rows(&nothing);
        let rows = self.engine.reduction.gather(rows)?;
        Ok(Claims::from_rows(&rows, &nothing, 0).states())
    }

    /// Goes back, and finds out with the others who is wrong; where nobody is, a divergence is what it is.
    fn settle_dispute(
        &mut self,
        claims: Vec<u64>,
        divergence: Option<TrainerError>,
    ) -> Result<TrainerError, TrainerError> {
        let matter = self.matter();
        self.go_back();
        let is_whole = u64::from(self.is_as_agreed()?);
        let whole: Vec<bool> =
            self.gather_claims(is_whole)?.into_iter().map(|whole| whole == 1).collect();
        let guilty = judge(&claims, &whole);
        if let (true, Some(divergence)) = (guilty.is_empty() && agree(&claims), divergence) {
            return Ok(divergence);
        }
        let claims = (0..).map(Rank).zip(claims).collect();
        let lost = (0..).map(Rank).zip(whole).filter(|(_, whole)| !whole).map(|(rank, _)| rank);
        Ok(self.disagreement(matter, (claims, lost.collect()), guilty))
    }

    /// That the ranks do not agree.
    pub(super) fn disagreement(
        &self,
        matter: Matter,
        (claims, lost): (Vec<(Rank, u64)>, Vec<Rank>),
        guilty: Vec<Rank>,
    ) -> TrainerError {
        let me = self.engine.reduction.rank();
        let is_known = matter.has_before() || !guilty.is_empty();
        let keeps = self.agreement.is_whole() && !guilty.contains(&me) && is_known;
        Box::new(Disagreement { matter, claims, lost, guilty, me, keeps }).into()
    }

    /// What the ranks have to agree on.
    fn matter(&self) -> Matter {
        let Position { epoch, step, .. } = self.state.position;
        match &self.agreement.standing {
            Standing::Claimed(Some(back)) if !back.vectors => Matter::EpochEnd(back.before.epoch()),
            Standing::Claimed(_) => Matter::Step { epoch, step: Step(step.0.saturating_sub(1)) },
            Standing::Agreed | Standing::Brought => Matter::Beginning(step),
        }
    }

    /// Whether the state is the one that all had agreed on, as far as that is known.
    fn is_as_agreed(&mut self) -> Result<bool, TrainerError> {
        let Self { agreement, state, .. } = self;
        let Some(agreed) = agreement.agreed.filter(|_| agreement.is_whole()) else {
            return Ok(true);
        };
        Ok(agreement.identity.of_memory::<T>(state).map_err(ComputeError::from)? == agreed)
    }

    /// Takes back what not all have agreed on, with what was kept of it for the coordinator, where there is a way back.
    pub(super) fn go_back(&mut self) {
        let Self { agreement, state, reporter, .. } = self;
        match std::mem::replace(&mut agreement.standing, Standing::Agreed) {
            Standing::Claimed(Some(back)) => {
                let Back { before, vectors, uploads } = *back;
                reporter.withdraw(uploads);
                before.restore(state, vectors.then_some(&mut agreement.spare));
            }
            standing => agreement.standing = standing,
        }
    }
}
