//! What logical shards add to a step's sums, each part in sixty-four bits: two ranks that have computed the same shard compare
//! it, part by part.

use crate::mathematics::kernels::digest::{Word, digest};

/// What each shard of a pass has added so far, in the order in which it did.
#[derive(Clone, Debug, Default)]
pub struct Trace(Vec<Vec<u64>>);

impl Trace {
    /// A shard adds these numbers.
    pub fn add<W: Word>(&mut self, shard: usize, numbers: &[W]) {
        if self.0.len() <= shard {
            self.0.resize(shard + 1, Vec::new());
        }
        self.0[shard].push(digest(numbers));
    }

    /// What each has added; as many parts of each.
    pub fn into_parts(self) -> Vec<Vec<u64>> {
        self.0
    }
}
