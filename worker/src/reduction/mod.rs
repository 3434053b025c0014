//! Sums over the global batch that are the same bits for any number of ranks.
//!
//! A sum has one partial per logical shard, added in the order of one fixed [`tree`]. Every rank adds the subtrees it
//! owns by itself and exchanges their roots, so the order never depends on who owns what.
//!
//! - [`tree`]: the order (pure);
//! - [`small`]: vectors of 64-bit numbers: everyone gets every subtree and finishes the sum alone;
//! - [`on_device`]: the same as `small`, without waiting for the numbers;
//! - [`bucket`]: gradients: every rank finishes the sum of its piece and sends it to all.
//!
//! With `--reduction native` the engine's own all-reduce takes the place of both.

pub mod bucket;
pub mod on_device;
pub mod small;
pub mod tree;

use std::ops::Range;
use std::time::{Duration, Instant};

use common::config;
use common::ids::{Rank, WorldSize};
use common::plan;

use crate::collective::{Collective, CollectiveError};
use tree::{Node, Tree};

/// The ordered sums of one generation.
pub struct Reduction {
    collective: Box<dyn Collective>,
    tree: Tree,
    mode: config::Reduction,
    owned: Range<usize>,
    /// For every rank, the roots of the largest subtrees it owns.
    subtrees: Vec<Vec<Node>>,
    waited: Duration,
}

impl Reduction {
    /// Sums over `logical_shards` shards, spread over the ranks of `collective`.
    pub fn new(
        collective: Box<dyn Collective>,
        logical_shards: usize,
        mode: config::Reduction,
    ) -> Self {
        let tree = Tree::over(logical_shards);
        let world = collective.world_size();
        let range = |rank| plan::shards_of(logical_shards, world, rank);
        Self {
            tree,
            mode,
            owned: range(collective.rank()),
            subtrees: world.ranks().map(|rank| tree.subtrees(&range(rank))).collect(),
            collective,
            waited: Duration::ZERO,
        }
    }

    /// The logical shards this rank computes.
    pub fn owned(&self) -> Range<usize> {
        self.owned.clone()
    }

    /// Ranks of the generation.
    pub fn world_size(&self) -> WorldSize {
        self.collective.world_size()
    }

    /// This process's rank.
    pub fn rank(&self) -> Rank {
        self.collective.rank()
    }

    /// Time spent waiting in exchanges since this was last asked.
    pub fn take_waited(&mut self) -> Duration {
        std::mem::take(&mut self.waited)
    }

    /// The orderly end: returns when no rank needs this one any more.
    ///
    /// # Errors
    /// A rank was lost before it came here.
    pub fn leave(&mut self) -> Result<(), CollectiveError> {
        self.collective.leave()
    }

    /// Whether what was summed so far may be relied upon.
    ///
    /// # Errors
    /// The abort, or what broke the generation.
    pub fn check(&self) -> Result<(), CollectiveError> {
        self.collective.check()
    }

    /// Sums are recorded from here on, or made again; see [`Collective::set_recording`].
    pub fn set_recording(&mut self, recording: bool) {
        self.collective.set_recording(recording);
    }

    /// The sums of the last recording were put into the stream once more.
    ///
    /// # Errors
    /// As [`Reduction::check`].
    pub fn replayed(&mut self) -> Result<(), CollectiveError> {
        self.collective.replayed()
    }

    /// Ends every exchange at once, on the device too.
    pub fn abandon(&self, reason: &str) {
        self.collective.abort_handle().abort(reason);
    }

    fn peers(&self) -> impl Iterator<Item = Rank> + use<> {
        let me = self.collective.rank();
        self.collective.world_size().ranks().filter(move |rank| *rank != me)
    }

    /// The roots of this rank's own subtrees.
    fn own_sums<T: Clone, E>(
        &self,
        partials: &[T],
        mut add: impl FnMut(T, T) -> Result<T, E>,
    ) -> Result<Vec<T>, E> {
        let first = self.owned.start;
        let mut known = |node: Node| {
            let leaf = self.owned.clone().find(|shard| Node::leaf(*shard) == node)?;
            Some(partials[leaf - first].clone())
        };
        let nodes = &self.subtrees[self.rank().index()];
        nodes.iter().map(|node| self.tree.sum(*node, &mut known, &mut add)).collect()
    }

    fn timed<R>(
        &mut self,
        wait: impl FnOnce(&mut Self) -> Result<R, CollectiveError>,
    ) -> Result<R, CollectiveError> {
        let start = Instant::now();
        let result = wait(self);
        self.waited += start.elapsed();
        result
    }
}

#[cfg(test)]
mod tests;
