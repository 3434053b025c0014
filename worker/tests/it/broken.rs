//! Each mistake of plain data parallelism shows: what is right to ten digits is far from all of them.
//!
//! The broken variants were run in the reference (four ranks in one process), one mistake at a time.

use std::convert::Infallible;

use worker::reduction::tree::{Node, Tree};

use crate::harness::expected::{Difference, EXPECTED};
use crate::reference::train;

#[test]
fn four_workers_make_none_of_the_mistakes() {
    let broken = &EXPECTED.broken;
    let folder = tempfile::tempdir().unwrap();
    let results = train(folder.path(), &broken["right"], 4);
    let Difference(difference, place) = broken["right"].largest_difference(&results);
    assert!(difference < 1e-10, "{difference:e} at the {place}");
    for mistake in ["local-counts", "local-batch-norm", "mean-of-means"] {
        let Difference(difference, place) = broken[mistake].largest_difference(&results);
        eprintln!("{mistake}: {difference:.1e} at the {place}");
        assert!(difference > 1e-6, "{mistake} makes a difference of {difference:e} only");
    }
}

/// Numbers of the size of gradients that partly cancel, the same on every machine.
fn partials(shards: u64) -> Vec<Vec<f32>> {
    let number = |shard: u64, index: u64| {
        let bits = (shard << 32 | index).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let uniform = (bits >> 40) as f32 / (1_u64 << 24) as f32 - 0.5;
        uniform * libm::powf(10.0, -((bits % 5) as f32) - 1.0)
    };
    (0..shards).map(|shard| (0..10_000).map(|index| number(shard, index)).collect()).collect()
}

fn add(a: Vec<f32>, b: Vec<f32>) -> Result<Vec<f32>, Infallible> {
    Ok(a.iter().zip(&b).map(|(a, b)| a + b).collect())
}

/// The sum in the order in which partials happen to arrive.
fn in_order_of_arrival(partials: &[Vec<f32>], arrival: &[usize]) -> Vec<f32> {
    let arrived = arrival.iter().map(|shard| partials[*shard].clone());
    let Ok(sum) = arrived.map(Ok).reduce(|a, b| add(a?, b?)).unwrap();
    sum
}

/// The sum in the tree's order, from partials that arrive in any.
fn in_order_of_the_tree(partials: &[Vec<f32>], arrival: &[usize]) -> Vec<f32> {
    let leaves: Vec<(Node, Vec<f32>)> =
        arrival.iter().map(|shard| (Node::leaf(*shard), partials[*shard].clone())).collect();
    let mut known =
        |node: Node| leaves.iter().find(|leaf| leaf.0 == node).map(|leaf| leaf.1.clone());
    let Ok(sum) = Tree::over(partials.len()).total(&mut known, &mut add);
    sum
}

#[test]
fn an_unordered_sum_depends_on_who_is_first() {
    let partials = partials(5);
    let bits = |sum: Vec<f32>| sum.into_iter().map(f32::to_bits).collect::<Vec<u32>>();
    let arrivals = [[0, 1, 2, 3, 4], [4, 2, 0, 1, 3], [3, 4, 1, 0, 2]];
    let unordered = arrivals.map(|arrival| bits(in_order_of_arrival(&partials, &arrival)));
    assert_ne!(unordered[0], unordered[1]);
    assert_ne!(unordered[0], unordered[2]);
    let ordered = arrivals.map(|arrival| bits(in_order_of_the_tree(&partials, &arrival)));
    assert_eq!(ordered[0], ordered[1]);
    assert_eq!(ordered[0], ordered[2]);
}
