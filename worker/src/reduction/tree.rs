//! The one binary tree over logical shards that fixes the order of every sum.
//!
//! Level 0 holds the V shards. From level to level neighbours are added pairwise and an odd last one moves up
//! unchanged, until one is left. Node `(level, index)` so covers the shards from `index·2^level` up to, but without,
//! `(index + 1)·2^level`, as far as there are shards. The tree depends on V alone: whoever computes a node, it is the
//! same sum.

use std::ops::Range;

/// A node of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    level: u32,
    index: usize,
}

impl Node {
    /// The leaf of one logical shard.
    pub fn leaf(shard: usize) -> Self {
        Self { level: 0, index: shard }
    }

    fn covers(self, shards: usize) -> Range<usize> {
        let start = self.index << self.level;
        start..(start + (1 << self.level)).min(shards)
    }

    fn children(self, shards: usize) -> (Node, Option<Node>) {
        let left = Node { level: self.level - 1, index: 2 * self.index };
        let right = Node { index: left.index + 1, ..left };
        (left, (right.index << right.level < shards).then_some(right))
    }
}

/// The tree over V logical shards.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    shards: usize,
}

impl Tree {
    /// The tree over `shards` logical shards, at least one.
    pub fn over(shards: usize) -> Self {
        Self { shards: shards.max(1) }
    }

    fn root(self) -> Node {
        Node { level: self.shards.next_power_of_two().trailing_zeros(), index: 0 }
    }

    /// The largest whole subtrees within a contiguous range of shards, in order: what its owner sends to others.
    pub fn subtrees(self, owned: &Range<usize>) -> Vec<Node> {
        let mut nodes = Vec::new();
        self.collect(self.root(), owned, &mut nodes);
        nodes
    }

    fn collect(self, node: Node, owned: &Range<usize>, nodes: &mut Vec<Node>) {
        let covers = node.covers(self.shards);
        if owned.start <= covers.start && covers.end <= owned.end {
            nodes.push(node);
        } else if covers.start < owned.end && owned.start < covers.end {
            let (left, right) = node.children(self.shards);
            self.collect(left, owned, nodes);
            if let Some(right) = right {
                self.collect(right, owned, nodes);
            }
        }
    }

    /// The sum of a subtree, in the tree's order, from the nodes that `known` has a value for.
    ///
    /// # Errors
    /// What `add` returned.
    ///
    /// # Panics
    /// If neither a leaf nor any node above it is known: the ranks' ranges cover every shard.
    pub fn sum<T, E>(
        self,
        node: Node,
        known: &mut impl FnMut(Node) -> Option<T>,
        add: &mut impl FnMut(T, T) -> Result<T, E>,
    ) -> Result<T, E> {
        if let Some(value) = known(node) {
            return Ok(value);
        }
        assert!(node.level > 0, "logical shard {} is owned by a rank", node.index);
        let (left, right) = node.children(self.shards);
        let left = self.sum(left, known, add)?;
        match right {
            Some(right) => {
                let right = self.sum(right, known, add)?;
                add(left, right)
            }
            None => Ok(left),
        }
    }

    /// The sum of all shards, from the nodes that `known` has a value for.
    ///
    /// # Errors
    /// What `add` returned.
    pub fn total<T, E>(
        self,
        known: &mut impl FnMut(Node) -> Option<T>,
        add: &mut impl FnMut(T, T) -> Result<T, E>,
    ) -> Result<T, E> {
        self.sum(self.root(), known, add)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::convert::Infallible;

    use common::ids::{Rank, WorldSize};
    use common::plan;
    use proptest::prelude::*;

    use super::*;

    /// The order of additions, written out.
    fn add(a: String, b: String) -> Result<String, Infallible> {
        Ok(format!("({a}+{b})"))
    }

    fn leaves(node: Node) -> Option<String> {
        (node.level == 0).then(|| node.index.to_string())
    }

    #[test]
    fn neighbours_are_added_and_an_odd_last_one_moves_up() {
        for (shards, expected) in [
            (1, "0"),
            (2, "(0+1)"),
            (3, "((0+1)+2)"),
            (4, "((0+1)+(2+3))"),
            (5, "(((0+1)+(2+3))+4)"),
            (7, "(((0+1)+(2+3))+((4+5)+6))"),
        ] {
            let Ok(order) = Tree::over(shards).total(&mut leaves, &mut add);
            assert_eq!(order, expected);
        }
    }

    proptest! {
        #[test]
        fn the_order_does_not_depend_on_the_ranks(shards in 1usize..40, world in 1u32..45) {
            let tree = Tree::over(shards);
            let world = WorldSize(world);
            let mut sent = HashMap::new();
            for rank in world.ranks() {
                for node in tree.subtrees(&plan::shards_of(shards, world, rank)) {
                    let Ok(value) = tree.sum(node, &mut leaves, &mut add);
                    sent.insert(node, value);
                }
            }
            let Ok(total) = tree.total(&mut |node| sent.get(&node).cloned(), &mut add);
            let Ok(single) = tree.total(&mut leaves, &mut add);
            prop_assert_eq!(total, single);
        }

        #[test]
        fn subtrees_are_few(shards in 1usize..1000, world in 1u32..50) {
            let tree = Tree::over(shards);
            let owned = plan::shards_of(shards, WorldSize(world), Rank(world / 2));
            prop_assert!(tree.subtrees(&owned).len() <= 2 * (shards.ilog2() as usize + 1));
        }
    }
}
