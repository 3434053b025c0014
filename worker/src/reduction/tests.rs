//! The reductions over real Gloo groups, compared with a serial sum in the tree's order.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use common::config;
use common::ids::Rank;
use tch::Tensor;

use super::ordered::Reduction;
use super::small::Rows;
use super::tree::{Node, Tree};
use crate::collective::in_process::run_ranks;
use crate::collective::{AbortHandle, SoloCollective};

const TIMEOUT: Duration = Duration::from_secs(20);

/// Numbers whose sum depends on its order: signs and magnitudes vary.
fn number(shard: usize, index: usize) -> f64 {
    let hash = ((shard * 1_000_003 + index) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mantissa = (hash >> 40) as f64 / f64::from(1 << 23) - 1.0;
    mantissa * libm::pow(10.0, (hash % 9) as f64 - 4.0)
}

fn partial(shard: usize, length: usize) -> Vec<f64> {
    (0..length).map(|index| number(shard, index)).collect()
}

fn partial_f32(shard: usize, length: usize) -> Vec<f32> {
    partial(shard, length).into_iter().map(|value| value as f32).collect()
}

/// The sum in the tree's order, one addition at a time.
fn serial<T: Copy + std::ops::Add<Output = T>>(
    shards: usize,
    partial: impl Fn(usize) -> Vec<T>,
) -> Vec<T> {
    let leaves: Vec<(Node, Vec<T>)> =
        (0..shards).map(|shard| (Node::leaf(shard), partial(shard))).collect();
    let mut known = |node| leaves.iter().find(|(leaf, _)| *leaf == node).map(|(_, v)| v.clone());
    let mut add = |a: Vec<T>, b: Vec<T>| {
        Ok::<_, Infallible>(a.into_iter().zip(b).map(|(a, b)| a + b).collect())
    };
    let Ok(sum) = Tree::over(shards).total(&mut known, &mut add);
    sum
}

fn on_ranks<R: Send + 'static>(
    ranks: u32,
    shards: usize,
    mode: config::Reduction,
    body: impl Fn(&mut Reduction) -> R + Send + Sync + 'static,
) -> Vec<R> {
    if ranks == 1 {
        let solo = Box::new(SoloCollective::new(AbortHandle::new()));
        return vec![body(&mut Reduction::new(solo, shards, mode))];
    }
    let body = Arc::new(body);
    run_ranks(ranks, TIMEOUT, move |collective| {
        let mut reduction = Reduction::new(Box::new(collective), shards, mode);
        let result = body(&mut reduction);
        reduction.leave().unwrap();
        result
    })
}

fn bucket(reduction: &mut Reduction, length: usize) -> Vec<f32> {
    let partials: Vec<Tensor> =
        (reduction.owned()).map(|shard| Tensor::from_slice(&partial_f32(shard, length))).collect();
    let sum = Tensor::zeros([length as i64], (tch::Kind::Float, tch::Device::Cpu));
    let bucket = reduction.start_bucket(&partials, sum.shallow_clone()).unwrap();
    reduction.finish_bucket(bucket).unwrap();
    Vec::try_from(sum).unwrap()
}

/// Ranks and logical shards: whole subtrees, uneven ranges, more ranks than shards.
const SHAPES: [(u32, usize); 9] =
    [(1, 4), (2, 4), (3, 4), (4, 4), (5, 4), (2, 5), (3, 7), (4, 6), (1, 1)];

#[test]
fn small_sums_are_the_trees_bits_on_every_rank() {
    for (ranks, shards) in SHAPES {
        let expected = serial(shards, |shard| partial(shard, 33));
        let sums = on_ranks(ranks, shards, config::Reduction::Ordered, |reduction| {
            let partials: Vec<_> = reduction.owned().map(|shard| partial(shard, 33)).collect();
            reduction.sum(&partials, 33).unwrap()
        });
        assert!(sums.iter().all(|sum| *sum == expected), "{ranks} ranks, {shards} shards");
    }
}

#[test]
fn buckets_are_the_trees_bits_on_every_rank() {
    for (ranks, shards) in SHAPES {
        for length in [1, 3, 1000] {
            let expected = serial(shards, |shard| partial_f32(shard, length));
            let sums = on_ranks(ranks, shards, config::Reduction::Ordered, move |reduction| {
                bucket(reduction, length)
            });
            assert!(sums.iter().all(|sum| *sum == expected), "{ranks} ranks, {shards} shards");
        }
    }
}

#[test]
fn another_order_gives_other_bits() {
    let ordered = serial(7, |shard| partial_f32(shard, 1000));
    let mut by_arrival = partial_f32(6, 1000);
    for shard in (0..6).rev() {
        by_arrival.iter_mut().zip(partial_f32(shard, 1000)).for_each(|(sum, value)| *sum += value);
    }
    assert_ne!(ordered, by_arrival);
}

#[test]
fn native_sums_are_close() {
    let close = |a: &[f32], b: &[f32]| {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-3 * (1.0 + b.abs()))
    };
    for (ranks, shards) in [(1, 4), (3, 4), (5, 4)] {
        let expected = serial(shards, |shard| partial(shard, 33));
        let expected_bucket = serial(shards, |shard| partial_f32(shard, 1000));
        let sums = on_ranks(ranks, shards, config::Reduction::Native, |reduction| {
            let partials: Vec<_> = reduction.owned().map(|shard| partial(shard, 33)).collect();
            (reduction.sum(&partials, 33).unwrap(), bucket(reduction, 1000))
        });
        for (sum, bucket) in sums {
            assert!(sum.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-9));
            assert!(close(&bucket, &expected_bucket));
        }
    }
}

#[test]
fn rows_arrive_in_rank_order() {
    let gathered = on_ranks(3, 4, config::Reduction::Ordered, |reduction| {
        let rank = reduction.rank();
        let count = |rank: Rank| rank.index() * 2;
        let numbers = reduction.world_size().ranks().map(count).collect();
        let own = vec![f64::from(rank.0); count(rank)];
        reduction.gather(Rows { own, numbers }).unwrap()
    });
    assert!(gathered.iter().all(|rows| *rows == [1.0, 1.0, 2.0, 2.0, 2.0, 2.0]));
}
