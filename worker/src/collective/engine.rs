//! What an engine that carries exchanges has to do: one value of it for each generation, on the trainer's thread.

use common::ids::{Rank, WorldSize};
use tch::{Device, Kind, Tensor};

use super::abort::AbortHandle;
use super::error::CollectiveError;
use super::pending::PendingExchange;

/// Whether exchanges can be part of a step that is recorded once and replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recordable {
    /// They are all work of the device, in its stream.
    Yes,
    /// They are, but no GPU has shown so yet: only where `--cuda-graph on` asks for it.
    IfRequired,
    /// The host has a part in them.
    No,
}

/// The ranks of one generation, seen from one of them.
///
/// Every rank makes the same calls in the same order: the k-th exchange of one meets the k-th of
/// the others, also where its lists are empty. After any error but
/// [`CollectiveError::Unsuitable`] the value is of no more use; every later call fails with the
/// same error, and the peers notice.
pub trait Collective: Send {
    /// This rank.
    fn rank(&self) -> Rank;

    /// How many ranks there are.
    fn world_size(&self) -> WorldSize;

    /// Starts every send and receive of one exchange at once and returns without waiting.
    ///
    /// Tensors are contiguous and where the engine reads them (Gloo: on the CPU; NCCL: there or on its GPU, what one
    /// rank sends and the other receives on the same kind of either), each peer occurs at most once in each list, this rank in none. What one rank sends another has as many bytes as
    /// what that one receives into; the memory is left alone until the exchange is complete. Any
    /// number may be in flight.
    ///
    /// # Errors
    ///
    /// If the request is none of that, a peer is already lost, or the collective is aborted.
    fn exchange(
        &mut self,
        sends: Vec<(Rank, Tensor)>,
        receives: Vec<(Rank, Tensor)>,
    ) -> Result<PendingExchange, CollectiveError>;

    /// Sums a contiguous tensor in place over all ranks, in whatever order the engine likes
    /// (`--reduction native`). Blocks, or is done for what is put into the device's stream afterwards.
    ///
    /// # Errors
    ///
    /// If a rank is lost or silent, or the collective is aborted.
    fn all_reduce(&mut self, tensor: &mut Tensor) -> Result<(), CollectiveError>;

    /// Whether what was exchanged so far may be relied upon.
    ///
    /// # Errors
    ///
    /// The abort, or what broke the group.
    fn check(&self) -> Result<(), CollectiveError> {
        self.abort_handle().check()
    }

    /// Whether exchanges of the device's tensors can be part of a recorded step.
    fn recordable(&self) -> Recordable {
        Recordable::No
    }

    /// Exchanges are recorded from here on, or made again.
    fn set_recording(&mut self, _recording: bool) {}

    /// The exchanges of the last recording were put into the stream once more.
    ///
    /// # Errors
    /// As [`Collective::check`].
    fn replayed(&mut self) -> Result<(), CollectiveError> {
        Ok(())
    }

    /// Ends every pending and future operation of this value, from any thread.
    fn abort_handle(&self) -> AbortHandle;

    /// Blocks until every rank has come here: one byte to and from each.
    ///
    /// # Errors
    ///
    /// As [`PendingExchange::wait`].
    fn barrier(&mut self) -> Result<(), CollectiveError> {
        let own = self.rank();
        let bytes = |world_size: WorldSize| {
            let peers = world_size.ranks().filter(|&peer| peer != own);
            peers.map(|peer| (peer, Tensor::zeros([1], (Kind::Uint8, Device::Cpu)))).collect()
        };
        let world_size = self.world_size();
        self.exchange(bytes(world_size), bytes(world_size))?.wait()?;
        Ok(())
    }

    /// The orderly end: returns when no rank can need this one any more, so that it may be dropped.
    ///
    /// Past the first barrier every rank has all its data. Past the second, every rank is known to
    /// be past the first; whoever is through may be gone before the others have noticed, so there a
    /// lost peer is no error.
    ///
    /// # Errors
    ///
    /// If a rank is lost or silent before it came here, or on abort.
    fn leave(&mut self) -> Result<(), CollectiveError> {
        self.barrier()?;
        match self.barrier() {
            Err(CollectiveError::PeerLost { .. }) => Ok(()),
            result => result,
        }
    }
}
