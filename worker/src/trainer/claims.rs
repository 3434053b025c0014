//! What a rank claims to have computed, as it travels with a sum.

use std::collections::BTreeMap;
use std::ops::Range;

use common::ids::Rank;

use crate::reduction::halves::{self, HALVES};
use crate::reduction::small::Rows;

/// One rank's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Of everything that all ranks have alike.
    pub state: u64,
    /// Of what logical shards have added to the step's sums, part by part, where it was cross-checked: the rank's own, then
    /// the one of another rank.
    pub shards: Vec<Vec<u64>>,
}

/// Every rank's, in rank order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims(pub Vec<Claim>);

/// A logical shard of which its owner and another rank have computed different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The shard.
    pub shard: usize,
    /// The first part of what it adds that they do not agree on.
    pub part: usize,
    /// Who owns it, and what that has computed.
    pub owner: (Rank, u64),
    /// Who checks it, and what that has.
    pub checker: (Rank, u64),
}

impl Claim {
    /// As rows, where the ranks say something of so many logical shards, in so many parts.
    pub fn to_rows(&self, shards: &[usize], parts: usize) -> Rows {
        let own = std::iter::once(&self.state).chain(self.shards.iter().flatten());
        let own = own.flat_map(|claim| halves::of(*claim));
        let numbers = shards.iter().map(|count| HALVES * (1 + count * parts));
        Rows { own: own.collect(), numbers: numbers.collect() }
    }
}

impl Claims {
    /// From rows, of which each rank's say something of so many logical shards, in so many parts.
    pub fn from_rows(rows: &[f64], shards: &[usize], parts: usize) -> Self {
        let (pairs, _) = rows.as_chunks::<HALVES>();
        let mut claims = pairs.iter().map(|pair| halves::joined(*pair));
        let claim = |count: &usize| Claim {
            state: claims.next().unwrap_or_default(),
            shards: (0..*count).map(|_| claims.by_ref().take(parts).collect()).collect(),
        };
        Self(shards.iter().map(claim).collect())
    }

    /// Of everything that all ranks have alike.
    pub fn states(&self) -> Vec<u64> {
        self.0.iter().map(|claim| claim.state).collect()
    }

    /// The first difference between two that have computed the same logical shard, in the order of what a step adds: until
    /// then both have been given the same. Each rank owns a range of shards, and checks one.
    pub fn difference(&self, ranks: &[(Range<usize>, Option<usize>)]) -> Option<Difference> {
        let all = || (0..).map(Rank).zip(&self.0).zip(ranks);
        let own = all().flat_map(|((rank, claim), (owned, _))| {
            owned.clone().zip(&claim.shards).map(move |(shard, claim)| (shard, (rank, claim)))
        });
        let own: BTreeMap<usize, (Rank, &Vec<u64>)> = own.collect();
        let differences = all().filter_map(|((checker, claim), (owned, checked))| {
            let shard = (*checked)?;
            let checked = claim.shards.get(owned.len())?;
            let (owner, claimed) = own.get(&shard)?;
            let part = claimed.iter().zip(checked).position(|(one, other)| one != other)?;
            let (owner, checker) = ((*owner, claimed[part]), (checker, checked[part]));
            Some(Difference { shard, part, owner, checker })
        });
        differences.min_by_key(|difference| difference.part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_travel_whole_and_the_first_difference_is_found() {
        let claim = |state, shards: &[[u64; 2]]| Claim {
            state,
            shards: shards.iter().map(|parts| parts.to_vec()).collect(),
        };
        // Two ranks with two and one logical shards, of which each checks one of the other's.
        let mut claims = Claims(vec![
            claim(u64::MAX, &[[5, 5], [6, 6], [8, 9]]),
            claim(1 << 40, &[[8, 9], [6, 6]]),
        ]);
        let said = [3, 2];
        let rows: Vec<f64> =
            claims.0.iter().flat_map(|claim| claim.to_rows(&said, 2).own).collect();
        assert_eq!(claims.0[0].to_rows(&said, 2).numbers, [14, 10]);
        assert_eq!(Claims::from_rows(&rows, &said, 2), claims);
        assert_eq!(claims.states(), [u64::MAX, 1 << 40]);
        let ranks = [(0..2, Some(2)), (2..3, Some(1))];
        assert_eq!(claims.difference(&ranks), None);
        claims.0[1].shards[0][1] = 7;
        let (owner, checker) = ((Rank(1), 7), (Rank(0), 9));
        let found = Difference { shard: 2, part: 1, owner, checker };
        assert_eq!(claims.difference(&ranks), Some(found));
        claims.0[1].shards[1] = vec![1, 1];
        let (owner, checker) = ((Rank(0), 6), (Rank(1), 1));
        let found = Difference { shard: 1, part: 0, owner, checker };
        assert_eq!(claims.difference(&ranks), Some(found));
    }

    #[test]
    fn nothing_is_said_of_shards_that_nobody_checks() {
        let claims = Claims(vec![Claim { state: 5, shards: Vec::new() }; 2]);
        let rows: Vec<f64> =
            claims.0.iter().flat_map(|claim| claim.to_rows(&[0, 0], 2).own).collect();
        assert_eq!(rows.len(), 4);
        assert_eq!(Claims::from_rows(&rows, &[0, 0], 2), claims);
        assert_eq!(claims.difference(&[(0..2, None), (2..3, None)]), None);
    }
}
