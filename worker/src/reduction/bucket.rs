//! Ordered sums of gradients, in flight while earlier layers still run backward where the engine does not wait for the
//! device's stream (Gloo).
//!
//! A bucket is cut into one piece per rank. Every rank sends each owner that owner's piece of its subtrees' roots; the
//! owner finishes the sum of its piece in the tree's order and sends it to all. Where the ranks' ranges are whole
//! subtrees that is the volume of a ring all-reduce.

use std::collections::HashMap;
use std::ops::Range;

use common::config;
use common::ids::Rank;
use common::plan;
use tch::Tensor;

use super::ordered::Reduction;
use crate::collective::{CollectiveError, PendingExchange};

/// A bucket whose pieces are on their way to their owners.
pub struct PendingBucket {
    stage: Stage,
    /// A tensor of the sum's length, dtype and device.
    like: Tensor,
}

enum Stage {
    /// Nothing is on its way: one rank, or the engine made the sum.
    Complete(Tensor),
    /// Subtree roots travel to the owners of pieces; here are this rank's own, whole.
    Scattering { exchange: PendingExchange, own: Vec<Tensor> },
    /// Finished pieces travel to everyone; here is this rank's own.
    Gathering { exchange: PendingExchange, own: Tensor },
}

impl Reduction {
    /// Starts the ordered sum of one flat gradient per owned logical shard, all of the length and dtype of `like`. The
    /// partials must not change before the bucket is finished.
    ///
    /// # Errors
    /// A peer is lost or the generation was aborted.
    pub fn start_bucket(
        &mut self,
        partials: &[Tensor],
        like: &Tensor,
    ) -> Result<PendingBucket, CollectiveError> {
        let partials: Vec<Held> = partials.iter().map(|t| Held(t.shallow_clone())).collect();
        let own = self.own_sums(&partials, |a, b| add(a.0, b.0).map(Held))?;
        let own: Vec<Tensor> = own.into_iter().map(|held| held.0).collect();
        let stage = if self.mode == config::Reduction::Native {
            Stage::Complete(self.native_bucket(own, like)?)
        } else if self.peers().next().is_none() {
            Stage::Complete(own.into_iter().next().expect("a single rank owns every shard"))
        } else {
            Stage::Scattering { exchange: self.scatter(&own, like)?, own }
        };
        Ok(PendingBucket { stage, like: like.shallow_clone() })
    }

    /// Finishes this rank's piece of a bucket, as soon as all its parts are there, and sends it to everyone.
    ///
    /// # Errors
    /// A peer is lost, too slow, or the generation was aborted.
    pub fn advance_bucket(
        &mut self,
        bucket: PendingBucket,
    ) -> Result<PendingBucket, CollectiveError> {
        let PendingBucket { stage, like } = bucket;
        let Stage::Scattering { exchange, own } = stage else {
            return Ok(PendingBucket { stage, like });
        };
        let received = self.timed(|_| exchange.wait())?;
        let own = self.sum_of_piece(&own, received, &like)?;
        let peers: Vec<Rank> = self.peers().collect();
        let sends = peers.iter().map(|rank| (*rank, own.shallow_clone()));
        let sends = sends.filter(|(_, piece)| piece.numel() > 0).collect();
        let receives = peers.iter().filter_map(|rank| {
            let numbers = self.piece(like.numel(), *rank).len();
            (numbers > 0).then(|| (*rank, room(&like, numbers)))
        });
        let receives = receives.collect();
        let exchange = self.collective.exchange(sends, receives)?;
        Ok(PendingBucket { stage: Stage::Gathering { exchange, own }, like })
    }

    /// Waits for the whole sum, `[length]`.
    ///
    /// # Errors
    /// As [`Reduction::advance_bucket`].
    pub fn finish_bucket(&mut self, bucket: PendingBucket) -> Result<Tensor, CollectiveError> {
        let PendingBucket { stage, like } = self.advance_bucket(bucket)?;
        let (exchange, own) = match stage {
            Stage::Complete(sum) => return Ok(sum),
            Stage::Gathering { exchange, own } => (exchange, own),
            Stage::Scattering { .. } => unreachable!("advancing ends the scattering"),
        };
        let mut received = self.timed(|_| exchange.wait())?.into_iter();
        let me = self.rank();
        let pieces = self.collective.world_size().ranks().filter_map(|rank| {
            if rank == me {
                return Some(own.shallow_clone());
            }
            if self.piece(like.numel(), rank).is_empty() { None } else { received.next() }
        });
        Ok(Tensor::f_cat(&pieces.collect::<Vec<_>>(), 0)?)
    }

    fn piece(&self, length: usize, rank: Rank) -> Range<usize> {
        plan::piece(length, self.collective.world_size().index(), rank.index())
    }

    fn scatter(
        &mut self,
        own: &[Tensor],
        like: &Tensor,
    ) -> Result<PendingExchange, CollectiveError> {
        let length = like.numel();
        let mut sends = Vec::new();
        let mut receives = Vec::new();
        let mine = self.piece(length, self.rank()).len();
        for peer in self.peers() {
            let piece = self.piece(length, peer);
            if !own.is_empty() && !piece.is_empty() {
                let parts: Vec<Tensor> = own.iter().map(|root| part(root, &piece)).collect();
                sends.push((peer, Tensor::f_cat(&parts, 0)?));
            }
            let roots = self.subtrees[peer.index()].len();
            if roots * mine > 0 {
                receives.push((peer, room(like, roots * mine)));
            }
        }
        self.collective.exchange(sends, receives)
    }

    /// The ordered sum of this rank's piece.
    fn sum_of_piece(
        &self,
        own: &[Tensor],
        received: Vec<Tensor>,
        like: &Tensor,
    ) -> Result<Tensor, CollectiveError> {
        let piece = self.piece(like.numel(), self.rank());
        if piece.is_empty() {
            return Ok(room(like, 0));
        }
        let mut nodes = HashMap::new();
        let mut received = received.into_iter();
        for (rank, roots) in self.subtrees.iter().enumerate() {
            let parts: Vec<Tensor> = if rank == self.rank().index() {
                own.iter().map(|root| part(root, &piece)).collect()
            } else if roots.is_empty() {
                Vec::new()
            } else {
                let message = received.next().expect("every rank with shards has sent its roots");
                message.f_chunk(roots.len() as i64, 0)?
            };
            nodes.extend(roots.iter().zip(parts));
        }
        self.tree.total(&mut |node| nodes.remove(&node), &mut add)
    }

    fn native_bucket(
        &mut self,
        own: Vec<Tensor>,
        like: &Tensor,
    ) -> Result<Tensor, CollectiveError> {
        let mut sum = own.into_iter().try_fold(like.f_zeros_like()?, add)?;
        self.timed(|this| this.collective.all_reduce(&mut sum))?;
        Ok(sum)
    }
}

/// A handle that can be passed along the tree.
pub(super) struct Held(pub(super) Tensor);

impl Clone for Held {
    fn clone(&self) -> Self {
        Self(self.0.shallow_clone())
    }
}

/// Never in place: a partial may be on its way to a peer.
pub(super) fn add(a: Tensor, b: Tensor) -> Result<Tensor, CollectiveError> {
    Ok(a.f_add(&b)?)
}

fn part(root: &Tensor, piece: &Range<usize>) -> Tensor {
    root.narrow(0, piece.start as i64, piece.len() as i64)
}

/// Room for numbers of the dtype and on the device of `like`.
fn room(like: &Tensor, numbers: usize) -> Tensor {
    Tensor::empty([numbers as i64], (like.kind(), like.device()))
}
