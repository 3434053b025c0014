//! Ordered sums of short tensors of 64-bit numbers that stay where they were computed, and rows gathered on the way:
//! `small` for devices, whose numbers nobody waits for.

use std::collections::HashMap;

use common::config;
use common::ids::Rank;
use tch::{Device, Kind, Tensor};

use super::bucket::Held;
use super::ordered::Reduction;
use super::tree::Node;
use crate::collective::{CollectiveError, PendingExchange};

/// One rank's part of a sum.
pub struct Contribution<'a> {
    /// One tensor `[length]` per owned logical shard.
    pub partials: &'a [Tensor],
    /// Numbers in the sum, the same on every rank.
    pub length: usize,
    /// This rank's rows, flattened.
    pub rows: Tensor,
    /// How many numbers the rows of each rank have, in rank order.
    pub row_numbers: &'a [usize],
}

/// A sum under way.
pub struct PendingSum {
    exchange: Option<PendingExchange>,
    /// Roots of this rank's subtrees, one after the other, then its rows.
    message: Tensor,
    /// The sum itself, where the engine has already made it.
    native: Option<Tensor>,
    length: usize,
    /// Numbers that every rank's message has.
    lengths: Vec<usize>,
}

/// A finished sum.
pub struct Summed {
    /// The sum over all logical shards, `[length]`.
    pub sum: Tensor,
    /// Every rank's rows, in rank order, which is the order of logical shards.
    pub rows: Tensor,
}

impl Reduction {
    /// The ordered sum of one tensor `[length]` per owned logical shard, on `device`.
    ///
    /// # Errors
    /// A peer is lost, too slow, or the generation was aborted.
    pub fn sum_on_device(
        &mut self,
        partials: &[Tensor],
        length: usize,
        device: Device,
    ) -> Result<Tensor, CollectiveError> {
        let row_numbers = vec![0; self.subtrees.len()];
        let rows = Tensor::f_empty([0], (Kind::Double, device))?;
        let contribution = Contribution { partials, length, rows, row_numbers: &row_numbers };
        let pending = self.start_sum_on_device(contribution)?;
        Ok(self.finish_sum_on_device(pending)?.sum)
    }

    /// Starts an ordered sum and the gathering of every rank's rows.
    ///
    /// # Errors
    /// As [`Reduction::sum_on_device`].
    pub fn start_sum_on_device(
        &mut self,
        contribution: Contribution<'_>,
    ) -> Result<PendingSum, CollectiveError> {
        let Contribution { partials, length, rows, row_numbers } = contribution;
        let partials: Vec<Held> = partials.iter().map(|t| Held(t.shallow_clone())).collect();
        let own = self.own_sums(&partials, |a, b| add(a.0, b.0).map(Held))?;
        let mut own: Vec<Tensor> = own.into_iter().map(|held| held.0).collect();
        let native = match self.mode {
            config::Reduction::Ordered => None,
            config::Reduction::Native => {
                let zeros = Tensor::f_zeros([length as i64], (Kind::Double, rows.device()))?;
                let mut sum = own.drain(..).try_fold(zeros, add)?;
                self.timed(|this| this.collective.all_reduce(&mut sum))?;
                Some(sum)
            }
        };
        own.push(rows);
        let message = Tensor::f_cat(&own, 0)?;
        let lengths: Vec<usize> = (row_numbers.iter().enumerate())
            .map(|(rank, rows)| self.roots_sent_by(rank).len() * length + rows)
            .collect();
        let exchange = self.start_exchange_of(&message, &lengths)?;
        Ok(PendingSum { exchange, message, native, length, lengths })
    }

    /// Finishes a sum.
    ///
    /// # Errors
    /// As [`Reduction::sum_on_device`].
    pub fn finish_sum_on_device(&mut self, pending: PendingSum) -> Result<Summed, CollectiveError> {
        let PendingSum { exchange, message, native, length, lengths } = pending;
        let received = self.timed(|_| exchange.map_or(Ok(Vec::new()), PendingExchange::wait))?;
        let mut received = received.into_iter();
        let mut nodes: HashMap<Node, Tensor> = HashMap::new();
        let mut rows = Vec::new();
        for (rank, expected) in lengths.iter().enumerate() {
            let message = match expected {
                _ if rank == self.rank().index() => message.shallow_clone(),
                0 => continue,
                _ => received.next().expect("every rank with numbers has sent them"),
            };
            let roots = self.roots_sent_by(rank);
            for (index, node) in roots.iter().enumerate() {
                nodes.insert(*node, message.f_narrow(0, (index * length) as i64, length as i64)?);
            }
            let start = (roots.len() * length) as i64;
            rows.push(message.f_narrow(0, start, message.size()[0] - start)?);
        }
        let sum = match native {
            Some(sum) => sum,
            None => self.tree.total(&mut |node| nodes.remove(&node), &mut add)?,
        };
        Ok(Summed { sum, rows: Tensor::f_cat(&rows, 0)? })
    }

    fn start_exchange_of(
        &mut self,
        message: &Tensor,
        lengths: &[usize],
    ) -> Result<Option<PendingExchange>, CollectiveError> {
        let peers: Vec<Rank> = self.peers().collect();
        if peers.is_empty() {
            return Ok(None);
        }
        let sends = if message.numel() == 0 { &[] } else { peers.as_slice() };
        let sends = sends.iter().map(|rank| (*rank, message.shallow_clone())).collect();
        let mut receives = Vec::new();
        for rank in peers.iter().filter(|rank| lengths[rank.index()] > 0) {
            let numbers = lengths[rank.index()] as i64;
            receives.push((*rank, Tensor::f_empty([numbers], (Kind::Double, message.device()))?));
        }
        self.collective.exchange(sends, receives).map(Some)
    }
}

/// Never in place: a partial may be on its way to a peer.
fn add(a: Tensor, b: Tensor) -> Result<Tensor, CollectiveError> {
    Ok(a.f_add(&b)?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::plan;

    use super::*;
    use crate::collective::in_process::run_ranks;

    /// The sums and rows that every rank gets, as host numbers.
    fn summed(ranks: u32, mode: config::Reduction) -> Vec<(Vec<f64>, Vec<f64>)> {
        run_ranks(ranks, Duration::from_secs(20), move |collective| {
            let mut reduction = Reduction::new(Box::new(collective), 4, mode);
            let number = |shard: usize, place: usize| 0.1 * (shard * 7 + place) as f64 + 1e-9;
            let partials: Vec<Tensor> = (reduction.owned())
                .map(|shard| Tensor::from_slice(&[0, 1, 2].map(|place| number(shard, place))))
                .collect();
            let rows: Vec<f64> = reduction.owned().map(|shard| shard as f64).collect();
            let world = reduction.world_size();
            let row_numbers: Vec<usize> =
                world.ranks().map(|rank| plan::shards_of(4, world, rank).len()).collect();
            let contribution = Contribution {
                partials: &partials,
                length: 3,
                rows: Tensor::from_slice(&rows),
                row_numbers: &row_numbers,
            };
            let pending = reduction.start_sum_on_device(contribution).unwrap();
            let Summed { sum, rows } = reduction.finish_sum_on_device(pending).unwrap();
            reduction.leave().unwrap();
            (Vec::try_from(sum).unwrap(), Vec::try_from(rows).unwrap())
        })
    }

    #[test]
    fn every_rank_gets_the_same_bits_for_any_number_of_ranks() {
        let [expected] = &summed(1, config::Reduction::Ordered)[..] else { panic!("one rank") };
        assert_eq!(expected.1, [0.0, 1.0, 2.0, 3.0]);
        for ranks in [2, 3, 5] {
            for found in summed(ranks, config::Reduction::Ordered) {
                assert_eq!(found, *expected, "{ranks} ranks");
            }
        }
        for (sum, rows) in summed(3, config::Reduction::Native) {
            assert!(sum.iter().zip(&expected.0).all(|(a, b)| (a - b).abs() < 1e-12));
            assert_eq!(rows, expected.1);
        }
    }
}
