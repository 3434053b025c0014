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
    /// Where the sum is put together.
    sum: Tensor,
}

enum Stage {
    /// Nothing is on its way: one rank, or the engine made the sum.
    Complete,
    /// Subtree roots travel to the owners of pieces; here are this rank's own, whole.
    Scattering { exchange: PendingExchange, own: Vec<Tensor> },
    /// Finished pieces travel to everyone.
    Gathering(PendingExchange),
}

impl Reduction {
    /// Starts the ordered sum of one flat gradient per owned logical shard into `sum`, all of one length, dtype and device.
    /// Nobody uses the partials or `sum`, a contiguous piece of memory, before the bucket is finished; what the partials hold
    /// has no meaning then.
    ///
    /// # Errors
    /// A peer is lost or the generation was aborted.
    pub fn start_bucket(
        &mut self,
        partials: &[Tensor],
        mut sum: Tensor,
    ) -> Result<PendingBucket, CollectiveError> {
        let partials: Vec<Held> = partials.iter().map(|t| Held(t.shallow_clone())).collect();
        let own = self.own_sums(&partials, |a, b| add_in_place(a.0, b.0).map(Held))?;
        let own: Vec<Tensor> = own.into_iter().map(|held| held.0).collect();
        let stage = if self.mode == config::Reduction::Native {
            self.native_bucket(&own, &mut sum)?;
            Stage::Complete
        } else if self.peers().next().is_none() {
            sum.f_copy_(own.first().expect("a single rank owns every shard"))?;
            Stage::Complete
        } else {
            Stage::Scattering { exchange: self.scatter(&own, &sum)?, own }
        };
        Ok(PendingBucket { stage, sum })
    }

    /// Finishes this rank's piece of a bucket, as soon as all its parts are there, and sends it to everyone.
    ///
    /// # Errors
    /// A peer is lost, too slow, or the generation was aborted.
    pub fn advance_bucket(
        &mut self,
        bucket: PendingBucket,
    ) -> Result<PendingBucket, CollectiveError> {
        let PendingBucket { stage, sum } = bucket;
        let Stage::Scattering { exchange, own } = stage else {
            return Ok(PendingBucket { stage, sum });
        };
        let received = self.timed(|_| exchange.wait())?;
        let piece_of = |rank| part(&sum, &self.piece(sum.numel(), rank));
        let mine = piece_of(self.rank());
        if mine.numel() > 0 {
            piece_of(self.rank()).f_copy_(&self.sum_of_piece(&own, received, sum.numel())?)?;
        }
        let sends = self.peers().map(|rank| (rank, mine.shallow_clone()));
        let sends = sends.filter(|(_, piece)| piece.numel() > 0).collect();
        let receives = self.peers().map(|rank| (rank, piece_of(rank)));
        let receives = receives.filter(|(_, piece)| piece.numel() > 0).collect();
        let exchange = self.collective.exchange(sends, receives)?;
        Ok(PendingBucket { stage: Stage::Gathering(exchange), sum })
    }

    /// Waits until the whole sum is where it was wanted.
    ///
    /// # Errors
    /// As [`Reduction::advance_bucket`].
    pub fn finish_bucket(&mut self, bucket: PendingBucket) -> Result<(), CollectiveError> {
        match self.advance_bucket(bucket)?.stage {
            Stage::Complete => Ok(()),
            Stage::Gathering(exchange) => self.timed(|_| exchange.wait()).map(drop),
            Stage::Scattering { .. } => unreachable!("advancing ends the scattering"),
        }
    }

    fn piece(&self, length: usize, rank: Rank) -> Range<usize> {
        plan::piece(length, self.collective.world_size().index(), rank.index())
    }

    fn scatter(
        &mut self,
        own: &[Tensor],
        sum: &Tensor,
    ) -> Result<PendingExchange, CollectiveError> {
        let length = sum.numel();
        let mut sends = Vec::new();
        let mut receives = Vec::new();
        let mine = self.piece(length, self.rank()).len();
        for peer in self.peers() {
            let piece = self.piece(length, peer);
            if !own.is_empty() && !piece.is_empty() {
                let parts: Vec<Tensor> = own.iter().map(|root| part(root, &piece)).collect();
                sends.push((peer, together(parts)?));
            }
            let roots = self.subtrees[peer.index()].len();
            if roots * mine > 0 {
                let room = Tensor::f_empty([(roots * mine) as i64], (sum.kind(), sum.device()))?;
                receives.push((peer, room));
            }
        }
        self.collective.exchange(sends, receives)
    }

    /// The ordered sum of this rank's piece, which is not empty, of a bucket of so many numbers.
    fn sum_of_piece(
        &self,
        own: &[Tensor],
        received: Vec<Tensor>,
        length: usize,
    ) -> Result<Tensor, CollectiveError> {
        let piece = self.piece(length, self.rank());
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
        self.tree.total(&mut |node| nodes.remove(&node), &mut add_in_place)
    }

    fn native_bucket(&mut self, own: &[Tensor], sum: &mut Tensor) -> Result<(), CollectiveError> {
        let _ = sum.f_zero_()?;
        for root in own {
            let _ = sum.f_add_(root)?;
        }
        self.timed(|this| this.collective.all_reduce(sum))
    }
}

/// A handle that can be passed along the tree.
pub(super) struct Held(pub(super) Tensor);

impl Clone for Held {
    fn clone(&self) -> Self {
        Self(self.0.shallow_clone())
    }
}

/// Where nobody needs the tensors any more: large ones take time to allocate.
fn add_in_place(mut a: Tensor, b: Tensor) -> Result<Tensor, CollectiveError> {
    let _ = a.f_add_(&b)?;
    Ok(a)
}

fn part(root: &Tensor, piece: &Range<usize>) -> Tensor {
    root.narrow(0, piece.start as i64, piece.len() as i64)
}

/// The parts of a message, one after the other: as it is, where there is one.
fn together(mut parts: Vec<Tensor>) -> Result<Tensor, CollectiveError> {
    if parts.len() == 1 {
        return Ok(parts.remove(0));
    }
    Ok(Tensor::f_cat(&parts, 0)?)
}
