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

use common::ids::Step;

use super::claims::{Claim, Claims};
use super::error::TrainerError;
use super::judgement::agree;
use super::training::Trainer;
use crate::fault::{Part, Phase};
use crate::mathematics::kernels::Float;
use crate::mathematics::kernels::digest::{Digest, digest};
use crate::mathematics::optimizer::Vectors;
use crate::network::ComputeError;
use crate::network::trace::{self, Trace};
use crate::reduction::small::Rows;
use crate::state::{Before, EpochRecord, Identity, State};

/// Claimed where the run cannot go on: what a step that diverges has left may differ between machines.
const FAILED: u64 = 0;

/// What this rank claims, and what it goes back to.
pub struct Agreement {
    pub(super) identity: Identity,
    /// Of the state as it is, and of the files that were made of it; of the step's logical shards where they were
    /// cross-checked.
    claim: Claim,
    /// The step of the run whose logical shards are claimed, too.
    checked: Option<Step>,
    /// Of the state as it is.
    current: u64,
    /// Of its copy in a device's memory.
    current_copy: Option<u64>,
    /// Of the state that all have agreed on last, as it is in this machine's memory.
    pub(super) agreed: Option<u64>,
    /// Of the copy of that state in a device's memory.
    pub(super) agreed_copy: Option<u64>,
    pub(super) standing: Standing,
    /// Memory for the vectors that the next step writes; afterwards those before it.
    pub(super) spare: Vectors,
    /// Why the run cannot go on, if all claim the same.
    failure: Option<TrainerError>,
}

/// What the ranks know of the state as it is.
pub(super) enum Standing {
    /// They agree on it.
    Agreed,
    /// A generation begins with it.
    Brought,
    /// It is claimed.
    Claimed(Box<Back>),
}

/// The way back.
pub(super) struct Back {
    pub(super) before: Before,
    pub(super) vectors: OldVectors,
    /// The next upload's number.
    uploads: u64,
}

/// Where the vectors of the state before are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OldVectors {
    /// They have not changed.
    Current,
    /// In the spare memory.
    Spare,
    /// In the copy of the state that all have agreed on, in the device's memory.
    OnDevice,
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
            claim: Claim {
                state: claimed(current, Digest::default().value(), None),
                shards: Vec::new(),
            },
            checked: None,
            current,
            agreed,
            current_copy: None,
            agreed_copy: None,
            standing: Standing::Brought,
            spare: Vectors::like(&state.flat, &state.optimizer),
            failure: None,
        })
    }

    /// All have agreed on the state as it is, whose copy in a device's memory is this one.
    pub(super) fn agree_on_copy(&mut self, copy: Option<u64>) {
        if matches!(self.standing, Standing::Claimed(_)) {
            self.agreed = None;
        }
        self.agreed_copy = copy;
        self.standing = Standing::Agreed;
    }

    /// The state that all have agreed on is in this machine's memory now.
    pub(super) fn bring<T: Float>(&mut self, state: &State) -> Result<(), ComputeError> {
        self.agreed = Some(self.identity.of_memory::<T>(state)?);
        Ok(())
    }

    /// The epoch's record is put away: the state begins another.
    pub fn keep_record(&mut self, record: EpochRecord) {
        if let Standing::Claimed(back) = &mut self.standing {
            back.before.keep_record(record);
        }
    }

    /// The run cannot go on, if all claim the same.
    pub(super) fn fail(&mut self, failure: TrainerError) {
        self.failure = Some(failure);
    }

    /// Whether all have agreed on the state as it is.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.standing, Standing::Agreed)
    }

    /// Why the run cannot go on, if that is not settled yet.
    pub(super) fn take_failure(&mut self) -> Option<TrainerError> {
        self.failure.take()
    }
}

/// Of a state, of what is kept for the coordinator, and of the state's copy in a device's memory.
fn claimed(state: u64, kept: u64, copy: Option<u64>) -> u64 {
    digest(&[state, kept, copy.unwrap_or_default()])
}

impl<T: Float> Trainer<T> {
    /// What this rank claims, to travel along with a sum. Workers that need not compute alike claim nothing.
    pub(super) fn claim(&self) -> Rows {
        if self.config.allow_mixed_hardware {
            return self.engine.reduction.no_rows();
        }
        self.agreement.claim.to_rows(&self.shards_claimed(), self.parts())
    }

    /// Of how many logical shards each rank claims something.
    fn shards_claimed(&self) -> Vec<usize> {
        let count = |(owned, checked): (Range<usize>, Option<usize>)| match self.agreement.checked {
            Some(_) => owned.len() + usize::from(checked.is_some()),
            None => 0,
        };
        let step = self.agreement.checked.unwrap_or_default();
        self.checkers(step).into_iter().map(count).collect()
    }

    /// In how many parts a rank says what a logical shard adds.
    fn parts(&self) -> usize {
        trace::parts(&self.state.layout)
    }

    /// The way back to the state as it is, which all have agreed on. `vectors` says where its vectors will be.
    pub(super) fn way_back(&self, vectors: OldVectors) -> Back {
        Back { before: Before::of(&self.state), vectors, uploads: self.reporter.end() }
    }

    /// The state changes from here on; whatever happens it goes back until all agree.
    pub(super) fn set_out(&mut self, back: Back) {
        self.agreement.standing = Standing::Claimed(Box::new(back));
    }

    /// A step has changed the state, and written vectors of these digests; or the run cannot go on.
    ///
    /// # Errors
    /// That, where nobody else has a say.
    pub(super) fn claim_step(
        &mut self,
        vectors: &[u64],
        failure: Option<TrainerError>,
    ) -> Result<(), TrainerError> {
        let Self { agreement, state, engine, .. } = self;
        let shards = engine.trace.take().map(Trace::into_parts).unwrap_or_default();
        agreement.current = agreement.identity.of(state, vectors);
        agreement.current_copy = None;
        let step = Step(state.position.step.0.saturating_sub(1));
        let is_checked = self.checkers(step).iter().any(|(_, checked)| checked.is_some());
        self.agreement.checked = is_checked.then_some(step);
        self.agreement.claim.shards = shards;
        self.claim_the_state(failure)
    }

    /// The state has changed, and is read anew; or the run cannot go on.
    ///
    /// # Errors
    /// That, where nobody else has a say.
    pub(super) fn claim_memory(
        &mut self,
        failure: Option<TrainerError>,
    ) -> Result<(), TrainerError> {
        let copy = self.identity_of_copy()?;
        let Self { agreement, state, .. } = self;
        agreement.current = agreement.identity.of_memory::<T>(state).map_err(ComputeError::from)?;
        (agreement.checked, agreement.claim.shards) = (None, Vec::new());
        agreement.current_copy = copy;
        self.claim_the_state(failure)
    }

    fn claim_the_state(&mut self, failure: Option<TrainerError>) -> Result<(), TrainerError> {
        if self.config.allow_mixed_hardware {
            return match failure {
                Some(failure) => Err(failure),
                None => {
                    self.agreement.agreed = Some(self.agreement.current);
                    self.agreement.standing = Standing::Agreed;
                    Ok(())
                }
            };
        }
        let flip = self.faults.flip(Phase::Commit, |part| part == Part::Claim);
        let claim = match failure {
            Some(_) => FAILED,
            None => {
                let Agreement { current, current_copy, .. } = self.agreement;
                claimed(current, self.reporter.kept(), current_copy)
            }
        };
        self.agreement.claim.state = claim ^ u64::from(flip.is_some());
        self.agreement.failure = failure;
        Ok(())
    }

    /// Every rank's claims are here: what is told of the state may go out, or all go back.
    ///
    /// # Errors
    /// The ranks do not agree, or agree that the run cannot go on; the state is the one before then.
    pub(super) fn settle_claims(&mut self, rows: &[f64]) -> Result<(), TrainerError> {
        if !self.config.allow_mixed_hardware {
            self.compare(rows)?;
            self.agreement.agreed = Some(self.agreement.current);
            self.agreement.agreed_copy = self.agreement.current_copy;
        }
        self.agreement.standing = Standing::Agreed;
        self.confirm()
    }

    fn compare(&mut self, rows: &[f64]) -> Result<(), TrainerError> {
        let claims = Claims::from_rows(rows, &self.shards_claimed(), self.parts());
        let states = claims.states();
        if agree(&states)
            && let Some(step) = self.agreement.checked
            && let Some(difference) = claims.difference(&self.checkers(step))
        {
            return Err(self.settle_difference(difference)?);
        }
        self.compare_states(states)
    }

    /// Whether all claim the same, and that the run can go on.
    ///
    /// # Errors
    /// They do not; the state is the one before then.
    pub(super) fn compare_states(&mut self, claims: Vec<u64>) -> Result<(), TrainerError> {
        let failure = self.agreement.failure.take();
        match (agree(&claims), failure) {
            (true, None) => Ok(()),
            (true, failure) => Err(self.settle_dispute(claims, failure)?),
            (false, _) => Err(self.settle_dispute(claims, None)?),
        }
    }

    /// Exchanges the claims, where no step's first sum follows that they could travel with.
    ///
    /// # Errors
    /// As [`Self::settle_claims`], or a peer is lost.
    pub(super) fn agree_now(&mut self) -> Result<(), TrainerError> {
        if self.agreement.is_settled() {
            return Ok(());
        }
        if self.config.allow_mixed_hardware {
            return self.settle_claims(&[]);
        }
        let rows = self.claim();
        let rows = self.engine.reduction.gather(rows)?;
        self.settle_claims(&rows)
    }

    /// What every rank claims of something else.
    pub(super) fn gather_claims(&mut self, own: u64) -> Result<Vec<u64>, TrainerError> {
        let nothing = vec![0; self.engine.reduction.world_size().index()];
        let rows = Claim { state: own, shards: Vec::new() }.to_rows(&nothing, 0);
        let rows = self.engine.reduction.gather(rows)?;
        Ok(Claims::from_rows(&rows, &nothing, 0).states())
    }

    /// Takes back what not all have agreed on, with what was kept of it for the coordinator; where the vectors were that it
    /// has gone back to, if it has.
    pub(super) fn go_back(&mut self) -> Option<OldVectors> {
        let Self { agreement, state, reporter, on_device, .. } = self;
        match std::mem::replace(&mut agreement.standing, Standing::Agreed) {
            Standing::Claimed(back) => {
                let Back { before, vectors, uploads } = *back;
                reporter.withdraw(uploads);
                let spare = (vectors == OldVectors::Spare).then_some(&mut agreement.spare);
                before.restore(state, spare);
                if let Some(run) = on_device {
                    run.accelerator.ring.go_back();
                }
                Some(vectors)
            }
            standing => {
                agreement.standing = standing;
                None
            }
        }
    }
}
