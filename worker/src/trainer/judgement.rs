//! Who is wrong where the ranks do not agree on what they have computed. Pure: every rank judges alike.

use std::collections::BTreeMap;

use common::ids::Rank;

/// Whether all claim the same.
pub fn agree(claims: &[u64]) -> bool {
    claims.windows(2).all(|pair| pair[0] == pair[1])
}

/// What a rank finds of the state that it goes back to, or brings along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It is not what all had agreed on.
    Lost = 0,
    /// It is what all had agreed on.
    Agreed = 1,
    /// This rank was given it.
    Given = 2,
}

impl Held {
    /// From a rank's claim.
    pub fn from_claim(claim: u64) -> Self {
        match claim {
            1 => Self::Agreed,
            2 => Self::Given,
            _ => Self::Lost,
        }
    }
}

/// Who is wrong, by what each rank claims to have computed, in rank order, and by what each holds: who has lost what all had
/// agreed on is wrong, also where there are only two, and who was given something else than those have that still hold that.
/// Otherwise more than half are right. Nobody where that does not tell.
pub fn judge(claims: &[u64], held: &[Held]) -> Vec<Rank> {
    let of = |wanted| claims.iter().zip(held).filter(move |(_, held)| **held == wanted);
    let agreed: Vec<u64> = of(Held::Agreed).map(|(claim, _)| *claim).collect();
    let right = match agreed.first() {
        Some(right) if agree(&agreed) && of(Held::Given).next().is_some() => Some(*right),
        _ => majority(claims),
    };
    let wrong = match right {
        _ if held.contains(&Held::Lost) => ranks(held, |held| *held == Held::Lost),
        Some(right) => ranks(claims, |claim| *claim != right),
        None => Vec::new(),
    };
    if wrong.len() < claims.len() { wrong } else { Vec::new() }
}

/// Who is wrong about a logical shard, by what two claim to have computed of it at first, and what all ranks compute of it
/// again, in rank order. More than half of those are right; who claims something else now is wrong, and who did where the
/// other of the two was right. (Where neither was they had been given something else then.)
pub fn judge_shard(first: [(Rank, u64); 2], again: &[u64]) -> Vec<Rank> {
    let Some(right) = majority(again) else { return Vec::new() };
    let mut wrong = ranks(again, |claim| *claim != right);
    if first.iter().any(|(_, claim)| *claim == right) {
        wrong.extend(first.into_iter().filter(|(_, claim)| *claim != right).map(|(rank, _)| rank));
    }
    wrong.sort_unstable();
    wrong.dedup();
    if wrong.len() < again.len() { wrong } else { Vec::new() }
}

/// What more than half claim.
fn majority(claims: &[u64]) -> Option<u64> {
    let mut votes = BTreeMap::<u64, usize>::new();
    claims.iter().for_each(|claim| *votes.entry(*claim).or_default() += 1);
    votes.into_iter().find(|(_, votes)| 2 * votes > claims.len()).map(|(claim, _)| claim)
}

fn ranks<T>(of: &[T], is_it: impl Fn(&T) -> bool) -> Vec<Rank> {
    (0..).map(Rank).zip(of).filter(|(_, it)| is_it(it)).map(|(rank, _)| rank).collect()
}

#[cfg(test)]
mod tests {
    use super::Held::{Agreed, Given, Lost};
    use super::*;

    fn wrong<const N: usize>(ranks: [u32; N]) -> Vec<Rank> {
        ranks.map(Rank).to_vec()
    }

    #[test]
    fn the_minority_is_wrong() {
        assert!(agree(&[5, 5, 5]) && agree(&[5]) && !agree(&[5, 5, 6]));
        assert_eq!(judge(&[5, 6, 5], &[Agreed; 3]), wrong([1]));
        assert_eq!(judge(&[6, 5, 5, 7, 5], &[Agreed; 5]), wrong([0, 3]));
        assert_eq!(judge(&[5, 6, 5], &[Given; 3]), wrong([1]));
    }

    #[test]
    fn halves_and_all_sorts_are_no_majority() {
        for claims in [&[5, 6][..], &[5, 5, 6, 6], &[5, 6, 7], &[5, 5, 6, 7], &[5, 5]] {
            assert_eq!(judge(claims, &vec![Agreed; claims.len()]), []);
        }
    }

    #[test]
    fn who_has_lost_what_all_had_is_wrong_whatever_it_claims() {
        assert_eq!(judge(&[5, 6], &[Agreed, Lost]), wrong([1]));
        assert_eq!(judge(&[5, 5, 6], &[Lost, Lost, Agreed]), wrong([0, 1]));
        // All diverged, one of them from something else.
        assert_eq!(judge(&[5, 5], &[Lost, Agreed]), wrong([0]));
        assert_eq!(judge(&[5, 6], &[Lost, Lost]), []);
    }

    #[test]
    fn who_was_given_something_else_is_wrong_however_many_they_are() {
        assert_eq!(judge(&[5, 6], &[Agreed, Given]), wrong([1]));
        assert_eq!(judge(&[6, 5, 6], &[Given, Agreed, Given]), wrong([0, 2]));
        assert_eq!(judge(&[6, 5, 6, 7], &[Given, Agreed, Given, Agreed]), []);
    }

    #[test]
    fn a_shard_that_is_computed_again_shows_who_was_wrong() {
        let first = [(Rank(0), 5), (Rank(2), 6)];
        // Once, and every time.
        assert_eq!(judge_shard(first, &[6, 6, 6]), wrong([0]));
        assert_eq!(judge_shard(first, &[5, 5, 5]), wrong([2]));
        assert_eq!(judge_shard(first, &[7, 6, 6]), wrong([0]));
        assert_eq!(judge_shard(first, &[5, 5, 9]), wrong([2]));
        // Both had been given something else, and another one is wrong now.
        assert_eq!(judge_shard(first, &[8, 8, 8, 8, 7]), wrong([4]));
        assert_eq!(judge_shard([(Rank(0), 5), (Rank(1), 6)], &[6, 6]), wrong([0]));
        assert_eq!(judge_shard([(Rank(0), 5), (Rank(1), 6)], &[5, 6]), []);
        assert_eq!(judge_shard(first, &[8, 8, 8]), []);
        assert_eq!(judge_shard([(Rank(0), 5), (Rank(1), 6)], &[8, 8]), []);
    }
}
