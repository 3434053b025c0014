//! What the sums of a generation have in common: its ranks, the order, and who owns which part of it. How a sum is
//! exchanged is in `small`, `on_device` and `bucket`, each of which adds methods of its own.

use std::ops::Range;
use std::time::{Duration, Instant};

use common::config;
use common::ids::{Rank, WorldSize};
use common::plan;

use super::tree::{Node, Tree};
use crate::collective::{Collective, CollectiveError};

/// The ordered sums of one generation.
pub struct Reduction {
    pub(super) collective: Box<dyn Collective>,
    pub(super) tree: Tree,
    pub(super) mode: config::Reduction,
    /// V.
    logical_shards: usize,
    pub(super) owned: Range<usize>,
    /// For every rank, the roots of the largest subtrees it owns.
    pub(super) subtrees: Vec<Vec<Node>>,
    pub(super) waited: Duration,
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
            logical_shards,
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

    /// Samples of each rank in a global batch of `batch`, in rank order.
    pub fn samples_of_ranks(&self, batch: usize) -> Vec<usize> {
        let (world, shards) = (self.world_size(), self.logical_shards);
        let samples =
            |rank| plan::slices(batch, shards, &plan::shards_of(shards, world, rank)).len();
        world.ranks().map(samples).collect()
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

    pub(super) fn peers(&self) -> impl Iterator<Item = Rank> + use<> {
        let me = self.collective.rank();
        self.collective.world_size().ranks().filter(move |rank| *rank != me)
    }

    /// The roots of this rank's own subtrees.
    pub(super) fn own_sums<T: Clone, E>(
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

    pub(super) fn timed<R>(
        &mut self,
        wait: impl FnOnce(&mut Self) -> Result<R, CollectiveError>,
    ) -> Result<R, CollectiveError> {
        let start = Instant::now();
        let result = wait(self);
        self.waited += start.elapsed();
        result
    }
}
