//! Ordered sums of short vectors of 64-bit numbers, and rows gathered on the way.
//!
//! Every rank sends the roots of its subtrees to every other in one message and finishes the sum alone: one message
//! each way is all the latency there is. Rows that all ranks need (features, labels) ride along.

use std::collections::HashMap;

use common::config;
use common::ids::Rank;
use tch::{Device, Kind, Tensor};

use super::ordered::Reduction;
use super::tree::Node;
use crate::collective::{CollectiveError, PendingExchange};

/// One rank's part of a sum.
pub struct Contribution<'a> {
    /// One vector per owned logical shard, each of `length` numbers.
    pub partials: &'a [Vec<f64>],
    /// Numbers in the sum, the same on every rank.
    pub length: usize,
    /// What travels along.
    pub rows: Rows,
}

/// Rows that every rank gets of every other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// This rank's, flattened.
    pub own: Vec<f64>,
    /// How many numbers those of each rank have, in rank order.
    pub numbers: Vec<usize>,
}

/// A sum under way.
pub struct PendingSum {
    exchange: Option<PendingExchange>,
    /// Roots of this rank's subtrees, one after the other, then its rows.
    message: Vec<f64>,
    /// The sum itself, where the engine has already made it.
    native: Option<Vec<f64>>,
    length: usize,
    /// Numbers that every rank's message has.
    lengths: Vec<usize>,
}

/// A finished sum.
#[derive(Debug, PartialEq)]
pub struct Summed {
    /// The sum over all logical shards.
    pub sum: Vec<f64>,
    /// Every rank's rows, in rank order, which is the order of logical shards.
    pub rows: Vec<f64>,
}

impl Reduction {
    /// The ordered sum of one vector per owned logical shard; all have `length` numbers, on every rank.
    ///
    /// # Errors
    /// A peer is lost, too slow, or the generation was aborted.
    pub fn sum(
        &mut self,
        partials: &[Vec<f64>],
        length: usize,
    ) -> Result<Vec<f64>, CollectiveError> {
        let rows = self.no_rows();
        Ok(self.sum_with(Contribution { partials, length, rows })?.sum)
    }

    /// Rows of nobody.
    pub fn no_rows(&self) -> Rows {
        Rows { own: Vec::new(), numbers: vec![0; self.subtrees.len()] }
    }

    /// [`Reduction::sum`] with rows that travel along.
    ///
    /// # Errors
    /// As [`Reduction::sum`].
    pub fn sum_with(&mut self, contribution: Contribution<'_>) -> Result<Summed, CollectiveError> {
        let pending = self.start_sum(contribution)?;
        self.finish_sum(pending)
    }

    /// Every rank's rows, in rank order, without a sum.
    ///
    /// # Errors
    /// As [`Reduction::sum`].
    pub fn gather(&mut self, rows: Rows) -> Result<Vec<f64>, CollectiveError> {
        let partials = vec![Vec::new(); self.owned.len()];
        Ok(self.sum_with(Contribution { partials: &partials, length: 0, rows })?.rows)
    }

    /// Starts an ordered sum and the gathering of every rank's rows.
    ///
    /// # Errors
    /// As [`Reduction::sum`].
    pub fn start_sum(
        &mut self,
        contribution: Contribution<'_>,
    ) -> Result<PendingSum, CollectiveError> {
        let Contribution { partials, length, rows } = contribution;
        let mut roots = self.own_sums(partials, add)?;
        let native = match self.mode {
            config::Reduction::Ordered => None,
            config::Reduction::Native if length == 0 => Some(Vec::new()),
            config::Reduction::Native => Some(self.native_sum(std::mem::take(&mut roots), length)?),
        };
        let message = [roots.concat(), rows.own].concat();
        let lengths: Vec<usize> = (rows.numbers.iter().enumerate())
            .map(|(rank, rows)| self.roots_sent_by(rank).len() * length + rows)
            .collect();
        let exchange = self.start_exchange(&message, &lengths)?;
        Ok(PendingSum { exchange, message, native, length, lengths })
    }

    /// Waits for a sum.
    ///
    /// # Errors
    /// As [`Reduction::sum`].
    pub fn finish_sum(&mut self, pending: PendingSum) -> Result<Summed, CollectiveError> {
        let PendingSum { exchange, message, native, length, lengths } = pending;
        let received = self.timed(|_| exchange.map_or(Ok(Vec::new()), PendingExchange::wait))?;
        let mut received = received.iter().map(numbers);
        let mut nodes = HashMap::new();
        let mut gathered = Vec::new();
        for (rank, expected) in lengths.iter().enumerate() {
            let message = match expected {
                _ if rank == self.rank().index() => message.clone(),
                0 => Vec::new(),
                _ => received.next().expect("one message was received from every rank that sends"),
            };
            let sent = self.roots_sent_by(rank);
            let (roots, rows) = message.split_at(sent.len() * length);
            for (index, node) in sent.iter().enumerate() {
                nodes.insert(*node, roots[index * length..(index + 1) * length].to_vec());
            }
            gathered.extend_from_slice(rows);
        }
        let sum = match native {
            Some(sum) => sum,
            None => self.tree.total(&mut |node| nodes.remove(&node), &mut add)?,
        };
        Ok(Summed { sum, rows: gathered })
    }

    /// The roots that a rank's messages begin with: none where the engine makes the sum.
    pub(super) fn roots_sent_by(&self, rank: usize) -> &[Node] {
        match self.mode {
            config::Reduction::Ordered => &self.subtrees[rank],
            config::Reduction::Native => &[],
        }
    }

    fn start_exchange(
        &mut self,
        message: &[f64],
        lengths: &[usize],
    ) -> Result<Option<PendingExchange>, CollectiveError> {
        let peers: Vec<Rank> = self.peers().collect();
        let sends = if message.is_empty() { &[] } else { peers.as_slice() };
        let sends = sends.iter().map(|rank| (*rank, Tensor::from_slice(message))).collect();
        let receives = peers.iter().filter(|rank| lengths[rank.index()] > 0).map(|rank| {
            (*rank, Tensor::empty([lengths[rank.index()] as i64], (Kind::Double, Device::Cpu)))
        });
        let receives = receives.collect();
        if peers.is_empty() {
            return Ok(None);
        }
        self.collective.exchange(sends, receives).map(Some)
    }

    fn native_sum(
        &mut self,
        roots: Vec<Vec<f64>>,
        length: usize,
    ) -> Result<Vec<f64>, CollectiveError> {
        let own = roots.into_iter().try_fold(vec![0.0; length], add)?;
        let mut tensor = Tensor::from_slice(&own);
        self.timed(|this| this.collective.all_reduce(&mut tensor))?;
        Ok(numbers(&tensor))
    }
}

fn add(mut a: Vec<f64>, b: Vec<f64>) -> Result<Vec<f64>, CollectiveError> {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
    Ok(a)
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor).expect("messages are one-dimensional and 64-bit")
}
