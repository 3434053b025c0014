//! Which sample is consumed by which logical shard in which step: pure functions of their arguments.
//!
//! The coordinator uses them to stream samples, workers to know what they will receive. An epoch is a permutation
//! of the training samples, cut into global batches, each cut into V contiguous slices, one per logical shard.
//! Nothing here knows how many workers there are, but [`shards_of`].

use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::ids::{Epoch, LogicalShard, Rank, Step, WorldSize};

/// The order in which an epoch consumes the training samples: a permutation of `0..samples`, uniform and a
/// function of `seed` and `epoch` alone; the file's order when `shuffle` is off.
pub fn permutation(samples: usize, seed: u64, epoch: Epoch, shuffle: Shuffle) -> Vec<u32> {
    let count = u32::try_from(samples).expect("IDX counts are 32-bit");
    let mut order: Vec<u32> = (0..count).collect();
    if shuffle == Shuffle::EveryEpoch {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(epoch.0);
        for last in (1..order.len()).rev() {
            order.swap(last, below(&mut random, last as u64 + 1) as usize);
        }
    }
    order
}

/// Whether an epoch draws a fresh permutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shuffle {
    /// A fresh permutation every epoch.
    EveryEpoch,
    /// The order of the file, every epoch the same.
    FileOrder,
}

/// A uniform integer below `bound`, without bias (Lemire, "Fast random integer generation in an interval", 2019).
fn below(random: &mut ChaCha8Rng, bound: u64) -> u64 {
    let threshold = bound.wrapping_neg() % bound;
    loop {
        let product = u128::from(random.next_u64()) * u128::from(bound);
        if product as u64 >= threshold {
            return (product >> 64) as u64;
        }
    }
}

/// How many steps an epoch has: the last batch may be short.
pub fn steps_per_epoch(samples: usize, batch_size: usize) -> u64 {
    samples.div_ceil(batch_size) as u64
}

/// The positions in the epoch's order that step `step` (of the epoch) consumes; empty past the last step.
pub fn batch(samples: usize, batch_size: usize, step: Step) -> Range<usize> {
    let start = step.index().saturating_mul(batch_size).min(samples);
    start..start.saturating_add(batch_size).min(samples)
}

/// Part `index` of `0..length` cut into `parts` contiguous pieces whose sizes differ by at most one.
pub fn piece(length: usize, parts: usize, index: usize) -> Range<usize> {
    let boundary = |i: usize| i * (length / parts) + i.min(length % parts);
    boundary(index)..boundary(index + 1)
}

/// The samples of a batch of `batch_length` that a logical shard computes, as positions within the batch.
pub fn slice(batch_length: usize, logical_shards: usize, shard: LogicalShard) -> Range<usize> {
    piece(batch_length, logical_shards, shard.index())
}

/// The samples of a batch that a contiguous range of logical shards computes, as positions within the batch.
pub fn slices(batch_length: usize, logical_shards: usize, shards: &Range<usize>) -> Range<usize> {
    if shards.is_empty() {
        return 0..0;
    }
    piece(batch_length, logical_shards, shards.start).start
        ..piece(batch_length, logical_shards, shards.end - 1).end
}

/// The contiguous range of logical shards a rank computes; empty where there are more ranks than shards.
pub fn shards_of(logical_shards: usize, world_size: WorldSize, rank: Rank) -> Range<usize> {
    piece(logical_shards, world_size.index(), rank.index())
}

/// Whether a step of the run is cross-checked where every `every`th is; 0 is never.
pub fn is_cross_checked(every: u64, step: Step) -> bool {
    every > 0 && step.0.is_multiple_of(every)
}

/// The logical shard of another rank that a rank computes, too, in a step of the run that is cross-checked; none where it owns
/// none, or all. Drawn from `seed` and `step`: each of the others checks one other, and no two the same.
pub fn cross_checked_shard(
    (seed, step): (u64, Step),
    logical_shards: usize,
    (world_size, rank): (WorldSize, Rank),
) -> Option<usize> {
    // Where there are more ranks than shards the first of them own one each.
    let owners = u64::from(world_size.0).min(logical_shards as u64);
    if u64::from(rank.0) >= owners {
        return None;
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // Those of epochs' permutations begin at the other end.
    random.set_stream(!step.0);
    let turn = 1 + below(&mut random, owners.checked_sub(1).filter(|others| *others > 0)?);
    let owner = Rank(((u64::from(rank.0) + turn) % owners) as u32);
    let owned = shards_of(logical_shards, world_size, owner);
    Some(owned.start + below(&mut random, owned.len() as u64) as usize)
}

/// The samples that a contiguous range of logical shards computes in these steps of an epoch.
pub fn samples_of(
    steps: Range<u64>,
    (samples, batch_size): (usize, usize),
    logical_shards: usize,
    shards: &Range<usize>,
) -> usize {
    let of_step = |step| batch(samples, batch_size, Step(step)).len();
    steps.map(|step| slices(of_step(step), logical_shards, shards).len()).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn permutation_holds_every_sample_once(samples in 0usize..3000, seed: u64, epoch: u64) {
            let mut order = permutation(samples, seed, Epoch(epoch), Shuffle::EveryEpoch);
            order.sort_unstable();
            prop_assert!(order.iter().copied().eq(0..samples as u32));
        }

        #[test]
        fn pieces_are_disjoint_complete_and_balanced(length in 0usize..5000, parts in 1usize..200) {
            let pieces: Vec<_> = (0..parts).map(|i| piece(length, parts, i)).collect();
            prop_assert_eq!(pieces[0].start, 0);
            prop_assert_eq!(pieces[parts - 1].end, length);
            for pair in pieces.windows(2) {
                prop_assert_eq!(pair[0].end, pair[1].start);
            }
            let sizes = pieces.iter().map(Range::len);
            prop_assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
        }

        #[test]
        fn an_epoch_uses_every_sample_once_whoever_computes_it(
            samples in 1usize..2000, batch_size in 1usize..300, shards in 1usize..20, world in 1u32..25,
        ) {
            let world = WorldSize(world);
            let mut used = vec![0u32; samples];
            let steps = || 0..steps_per_epoch(samples, batch_size);
            let sizes = (samples, batch_size);
            let of_rank =
                |rank| samples_of(steps(), sizes, shards, &shards_of(shards, world, rank));
            prop_assert_eq!(world.ranks().map(of_rank).sum::<usize>(), samples);
            for step in steps() {
                let batch = batch(samples, batch_size, Step(step));
                prop_assert!(!batch.is_empty());
                for rank in world.ranks() {
                    let owned = shards_of(shards, world, rank);
                    let together = slices(batch.len(), shards, &owned);
                    let mut position = together.start;
                    for shard in owned {
                        let slice = slice(batch.len(), shards, LogicalShard(shard as u32));
                        prop_assert_eq!(slice.start, position);
                        position = slice.end;
                        slice.for_each(|i| used[batch.start + i] += 1);
                    }
                    prop_assert_eq!(position, together.end);
                }
            }
            prop_assert!(used.iter().all(|&count| count == 1));
            prop_assert!(batch(samples, batch_size, Step(steps_per_epoch(samples, batch_size))).is_empty());
        }
    }

    #[test]
    fn every_rank_checks_another_and_is_checked_once() {
        for ranks in 2..6 {
            let world_size = WorldSize(ranks);
            let mut seen = std::collections::BTreeSet::new();
            for step in 0..60 {
                let mut owners: Vec<Rank> = (world_size.ranks())
                    .map(|rank| {
                        let of = (9, Step(step));
                        let shard = cross_checked_shard(of, 6, (world_size, rank)).unwrap();
                        seen.insert(shard);
                        let owns = |owner| shards_of(6, world_size, owner).contains(&shard);
                        let owner = world_size.ranks().find(|owner| owns(*owner)).unwrap();
                        assert_ne!(owner, rank);
                        owner
                    })
                    .collect();
                owners.sort_unstable();
                assert!(owners.into_iter().eq(world_size.ranks()));
            }
            assert_eq!(seen.len(), 6, "{ranks} ranks check every shard at some time");
        }
        assert_eq!(cross_checked_shard((9, Step(3)), 6, (WorldSize(1), Rank(0))), None);
        // One more than there are shards.
        let of_three = |rank| cross_checked_shard((9, Step(3)), 2, (WorldSize(3), Rank(rank)));
        assert_eq!([0, 1, 2].map(of_three), [Some(1), Some(0), None]);
        let checked: Vec<u64> = (0..10).filter(|step| is_cross_checked(4, Step(*step))).collect();
        assert_eq!(checked, [0, 4, 8]);
        assert!(!is_cross_checked(0, Step(0)));
    }

    #[test]
    fn epochs_and_seeds_differ_and_repeat() {
        let draw = |seed, epoch| permutation(1000, seed, Epoch(epoch), Shuffle::EveryEpoch);
        assert_eq!(draw(7, 3), draw(7, 3));
        assert_ne!(draw(7, 3), draw(7, 4));
        assert_ne!(draw(7, 3), draw(8, 3));
    }

    #[test]
    fn file_order_is_the_identity() {
        let order = permutation(5, 1, Epoch(9), Shuffle::FileOrder);
        assert_eq!(order, [0, 1, 2, 3, 4]);
    }

    /// Runs are resumed by later releases: the order they continue in must be the one they began with.
    #[test]
    fn the_permutation_never_changes_between_releases() {
        let order = permutation(10, 0, Epoch(1), Shuffle::EveryEpoch);
        assert_eq!(order, [5, 1, 9, 0, 3, 2, 8, 4, 6, 7]);
    }
}
