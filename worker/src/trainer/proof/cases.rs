//! Which shards are computed, and of which samples.

use std::collections::BTreeSet;

use common::config::Config;
use common::data_shape::DataShape;
use common::ids::Step;
use common::plan;

use super::Terms;

/// Seed of the parameters, whatever the run's is.
const SEED: u64 = 1;

/// A batch of logical shards that have the sizes of the run's.
pub struct Case {
    /// The run's settings, for this batch.
    pub config: Config,
    /// The run's images and classes.
    pub data: DataShape,
    /// Samples of each shard in a test batch.
    pub test_slices: Vec<usize>,
}

/// Images of a shard that are enough where the program's own kernels compute: what they make of an image does not depend on
/// how many there are.
const ENOUGH: usize = 32;

/// Whose kernels compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernels {
    /// The program's own.
    Own,
    /// libtorch's, which it may choose by the number of images: the last batch of an epoch, too, has its shards' sizes.
    Libtorch,
}

/// Batches of whose shards every size is computed that the run has.
pub fn of(terms: &Terms, kernels: Kernels) -> Vec<Case> {
    let Terms { config, data, train_samples, test_samples } = terms;
    let shards = config.shard_count();
    let batches = |samples: usize, size: u64| {
        let last = plan::steps_per_epoch(samples, size as usize).saturating_sub(1);
        let steps = [0, if kernels == Kernels::Own { 0 } else { last }];
        let lengths = steps.map(|step| plan::batch(samples, size as usize, Step(step)).len());
        BTreeSet::from(lengths).into_iter().rev().map(|length| slices(length, shards))
    };
    let enough = |size: usize| if kernels == Kernels::Own { size.min(ENOUGH) } else { size };
    let mut cases: Vec<Case> = batches(*train_samples, config.batch_size)
        .map(|sizes| {
            let mut config = config.clone();
            config.seed = SEED;
            config.batch_size = sizes.iter().map(|size| enough(*size)).sum::<usize>() as u64;
            config.logical_shards = Some(sizes.len() as u32);
            Case { config, data: *data, test_slices: Vec::new() }
        })
        .collect();
    if let Some(last) = cases.last_mut() {
        let tests = batches(*test_samples, config.test_batch_size).flatten();
        last.test_slices = tests.map(enough).collect();
    }
    cases
}

/// The sizes that the slices of a batch have: they differ by one at most.
fn slices(length: usize, shards: usize) -> Vec<usize> {
    let sizes = [length / shards, length.div_ceil(shards)];
    BTreeSet::from(sizes).into_iter().filter(|size| *size > 0).collect()
}

/// Samples that anybody can make: pixels, then labels.
pub fn samples(count: usize, data: DataShape) -> (Vec<u8>, Vec<u16>) {
    let mut state = 1_u32;
    let mut pixel = || {
        // Numerical Recipes' generator, whose upper bits are the better ones.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let pixels = (0..count * data.numbers()).map(|_| pixel()).collect();
    (pixels, (0..count).map(|sample| (sample % data.classes) as u16).collect())
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings;
    use super::*;

    fn sizes(train_samples: usize, batch_size: u64, kernels: Kernels) -> Vec<(u64, u32)> {
        let mut config = settings();
        (config.batch_size, config.test_batch_size) = (batch_size, 8);
        config.logical_shards = Some(4);
        let cases =
            of(&Terms { config, data: DataShape::MNIST, train_samples, test_samples: 9 }, kernels);
        let tested = cases.last().unwrap().test_slices.clone();
        // Eight samples in four shards; one is left.
        assert_eq!(tested, if kernels == Kernels::Own { vec![2] } else { vec![2, 1] });
        let of_case = |case: &Case| (case.config.batch_size, case.config.shard_count() as u32);
        cases.iter().map(of_case).collect()
    }

    #[test]
    fn shards_are_as_large_as_the_runs() {
        assert_eq!(sizes(100, 20, Kernels::Libtorch), [(5, 1)], "twenty are four fives");
        assert_eq!(
            sizes(100, 22, Kernels::Libtorch),
            [(11, 2), (3, 1)],
            "fives and sixes; twelve are left"
        );
        assert_eq!(sizes(100, 22, Kernels::Own), [(11, 2)]);
        assert_eq!(sizes(4000, 800, Kernels::Own), [(32, 1)], "two hundred are more than enough");
        assert_eq!(
            sizes(3, 22, Kernels::Libtorch),
            [(1, 1)],
            "a shard without samples computes nothing"
        );
    }
}
