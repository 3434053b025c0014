//! That the ranks have not computed the same, in words.

use std::fmt::{Display, Formatter, Result};

use common::ids::{Epoch, Rank, Step};

/// What they should have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matter {
    /// The state that the generation begins with, before this step.
    Beginning(Step),
    /// What a step has left.
    Step {
        /// Epoch of the step.
        epoch: Epoch,
        /// Counted from 0 over the run.
        step: Step,
    },
    /// What a logical shard adds to the sums of a step.
    Shard {
        /// Epoch of the step.
        epoch: Epoch,
        /// Counted from 0 over the run.
        step: Step,
        /// The shard.
        shard: usize,
    },
    /// What is stored of an epoch.
    Stored(Epoch),
}

/// The ranks of a generation have not computed the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// What.
    pub matter: Matter,
    /// What each rank has come to that was asked.
    pub claims: Vec<(Rank, u64)>,
    /// Who had lost what all had agreed on before.
    pub lost: Vec<Rank>,
    /// Who is wrong; nobody where that cannot be told.
    pub guilty: Vec<Rank>,
    /// This rank.
    pub me: Rank,
    /// Whether this rank still has a state that nobody disputes.
    pub keeps: bool,
}

impl Disagreement {
    /// Whether this rank is wrong.
    pub fn is_guilty(&self) -> bool {
        self.guilty.contains(&self.me)
    }

    /// Whether nobody can say who is wrong.
    pub fn is_undecided(&self) -> bool {
        self.guilty.is_empty()
    }

    fn claims(&self) -> String {
        let claims =
            self.claims.iter().map(|(rank, claim)| format!("rank {rank} has {claim:016x}"));
        claims.collect::<Vec<_>>().join(", ")
    }
}

impl std::error::Error for Disagreement {}

impl Display for Matter {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        match self {
            Self::Beginning(step) => write!(to, "the state before step {step}"),
            Self::Step { epoch, step } => write!(to, "step {step} (epoch {epoch})"),
            Self::Shard { epoch, step, shard } => {
                write!(to, "logical shard {shard} of step {step} (epoch {epoch})")
            }
            Self::Stored(epoch) => write!(to, "what is stored of epoch {epoch}"),
        }
    }
}

impl Display for Disagreement {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        let Self { matter, guilty, keeps, .. } = self;
        if self.is_guilty() {
            let found = match self.lost.contains(&self.me) {
                true => {
                    "numbers have changed in its memory since all had agreed on them".to_string()
                }
                false => format!("it is rank {}", self.me),
            };
            return write!(
                to,
                "this worker has computed something else than the others in {matter}: {found} ({}); they go on without it. Its \
                 memory or its processor may be faulty: test them before it takes part again",
                self.claims()
            );
        }
        if !self.is_undecided() {
            let names: Vec<String> = guilty.iter().map(|rank| format!("rank {rank}")).collect();
            let go_on = match keeps {
                true => "it is done again",
                false => "the run goes back to what is stored, and goes on",
            };
            return write!(
                to,
                "{} computed something else in {matter} ({}); {go_on} without it",
                names.join(" and "),
                self.claims()
            );
        }
        let kept = match keeps {
            true => "what all had agreed on before is stored",
            false => "none of it is stored",
        };
        write!(
            to,
            "the workers have computed different things in {matter} and no majority says who is wrong: {}; {kept}. Memory \
             or a processor of one of their machines may be faulty: test them, then go on with --resume; with three \
             workers or more the wrong one is found",
            self.claims()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(me: u32, guilty: &[u32], lost: &[u32]) -> String {
        let ranks = |ranks: &[u32]| ranks.iter().copied().map(Rank).collect::<Vec<_>>();
        let disagreement = Disagreement {
            matter: Matter::Step { epoch: Epoch(1), step: Step(7) },
            claims: vec![(Rank(0), 1), (Rank(1), 2), (Rank(2), 1)],
            lost: ranks(lost),
            guilty: ranks(guilty),
            me: Rank(me),
            keeps: me != 1,
        };
        disagreement.to_string()
    }

    #[test]
    fn everybody_is_told_who_is_wrong_and_where() {
        let told = [
            (told(0, &[1], &[]), "rank 1 computed something else in step 7 (epoch 1)"),
            (told(1, &[1], &[]), "in step 7 (epoch 1): it is rank 1 (rank 0 has 0000000000000001"),
            (told(1, &[1], &[1]), "have changed in its memory"),
            (told(0, &[], &[]), "no majority"),
        ];
        for (told, expected) in told {
            assert!(told.contains(expected), "{told}");
            assert!(told.contains("rank 2 has 0000000000000001"), "{told}");
        }
    }
}
