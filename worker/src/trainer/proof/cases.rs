//! Which shards are computed, and of which samples.

use std::collections::BTreeSet;

use common::architecture::{CLASSES, IMAGE_PIXELS};
use common::config::Config;
use common::ids::Step;
use common::plan;

use super::Terms;

/// Seed of the parameters, whatever the run's is.
const SEED: u64 = 1;

/// A batch of logical shards that have the sizes of the run's.
pub struct Case {
    /// The run's settings, for this batch.
    pub config: Config,
    /// Samples of each shard in a test batch.
    pub test_slices: Vec<usize>,
}

/// Those of whole batches, and of the last of an epoch where kernels may depend on how many images they are given.
pub fn of(terms: &Terms, has_own_kernels: bool) -> Vec<Case> {
    let Terms { config, train_samples, test_samples } = terms;
    let shards = config.shard_count();
    let batches = |samples, size| {
        let count = plan::steps_per_epoch(samples, size);
        let last = count.saturating_sub(if has_own_kernels { count } else { 1 });
        let lengths = [0, last].map(|step| plan::batch(samples, size, Step(step)).len());
        BTreeSet::from(lengths).into_iter().rev().map(|length| slices(length, shards))
    };
    let mut tests = batches(*test_samples, config.test_batch_size as usize);
    let trains = batches(*train_samples, config.batch_size as usize);
    trains
        .map(|sizes| {
            let mut config = config.clone();
            config.seed = SEED;
            config.batch_size = sizes.iter().sum::<usize>() as u64;
            config.logical_shards = Some(sizes.len() as u32);
            Case { config, test_slices: tests.next().unwrap_or_default() }
        })
        .collect()
}

/// The sizes that the slices of a batch have: they differ by one at most.
fn slices(length: usize, shards: usize) -> Vec<usize> {
    let sizes = [length / shards, length.div_ceil(shards)];
    BTreeSet::from(sizes).into_iter().filter(|size| *size > 0).collect()
}

/// Samples that anybody can make: pixels, then labels.
pub fn samples(count: usize) -> (Vec<u8>, Vec<u8>) {
    let mut state = 1_u32;
    let mut pixel = || {
        // Numerical Recipes' generator, whose upper bits are the better ones.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let pixels = (0..count * IMAGE_PIXELS).map(|_| pixel()).collect();
    (pixels, (0..count).map(|sample| (sample % CLASSES) as u8).collect())
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings;
    use super::*;

    fn sizes(train_samples: usize, batch_size: u64, has_own_kernels: bool) -> Vec<(u64, u32)> {
        let mut config = settings();
        (config.batch_size, config.test_batch_size) = (batch_size, 8);
        config.logical_shards = Some(4);
        let cases = of(&Terms { config, train_samples, test_samples: 9 }, has_own_kernels);
        let of_case = |case: &Case| (case.config.batch_size, case.config.shard_count() as u32);
        cases.iter().map(of_case).collect()
    }

    #[test]
    fn shards_are_as_large_as_the_runs() {
        assert_eq!(sizes(100, 20, false), [(5, 1)], "twenty are four fives");
        assert_eq!(sizes(100, 22, false), [(11, 2), (3, 1)], "fives and sixes; twelve are left");
        assert_eq!(sizes(100, 22, true), [(11, 2)]);
        assert_eq!(sizes(3, 22, false), [(1, 1)], "a shard without samples computes nothing");
    }
}
