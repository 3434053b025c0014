//! An engine that knows the CPU's memory only, for tensors in a GPU's: what is sent is copied to page-locked memory
//! first, what arrives is copied back. For several workers on one GPU, and where GPUs have no other way to each other.

use common::ids::{Rank, WorldSize};
use tch::{Device, Tensor};

use super::pending::InFlight;
use super::{AbortHandle, Collective, CollectiveError, PendingExchange};
use crate::bridge::device::staging_like;

/// `inner` for tensors on `device`; others go through as they are.
pub struct StagedCollective<C> {
    inner: C,
    device: Device,
}

impl<C: Collective> StagedCollective<C> {
    /// Carries the tensors of `device` through `inner`.
    pub fn new(inner: C, device: Device) -> Self {
        Self { inner, device }
    }

    fn room(&self, tensor: &Tensor) -> Result<Tensor, CollectiveError> {
        if tensor.device() != self.device {
            return Ok(tensor.shallow_clone());
        }
        Ok(staging_like(tensor, self.device)?)
    }

    /// Waits for the device: what is sent must have been computed.
    fn brought(&self, tensor: &Tensor) -> Result<Tensor, CollectiveError> {
        let mut room = self.room(tensor)?;
        if tensor.device() == self.device {
            room.f_copy_(tensor)?;
        }
        Ok(room)
    }
}

impl<C: Collective> Collective for StagedCollective<C> {
    fn rank(&self) -> Rank {
        self.inner.rank()
    }

    fn world_size(&self) -> WorldSize {
        self.inner.world_size()
    }

    fn exchange(
        &mut self,
        sends: Vec<(Rank, Tensor)>,
        receives: Vec<(Rank, Tensor)>,
    ) -> Result<PendingExchange, CollectiveError> {
        let brought = |(rank, tensor): (Rank, Tensor)| Ok((rank, self.brought(&tensor)?));
        let sends = sends.into_iter().map(brought).collect::<Result<_, CollectiveError>>()?;
        let room = |(rank, tensor): &(Rank, Tensor)| Ok((*rank, self.room(tensor)?));
        let rooms = receives.iter().map(room).collect::<Result<_, CollectiveError>>()?;
        let exchange = self.inner.exchange(sends, rooms)?;
        let to: Vec<Tensor> = receives.into_iter().map(|(_, tensor)| tensor).collect();
        let received = to.iter().map(Tensor::shallow_clone).collect();
        Ok(PendingExchange::new(Unstaging { exchange, to, device: self.device }, received))
    }

    fn all_reduce(&mut self, tensor: &mut Tensor) -> Result<(), CollectiveError> {
        let mut brought = self.brought(tensor)?;
        self.inner.all_reduce(&mut brought)?;
        if tensor.device() == self.device {
            tensor.f_copy_(&brought)?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), CollectiveError> {
        self.inner.check()
    }

    fn abort_handle(&self) -> AbortHandle {
        self.inner.abort_handle()
    }
}

/// What arrives, and where it belongs.
struct Unstaging {
    exchange: PendingExchange,
    to: Vec<Tensor>,
    device: Device,
}

impl InFlight for Unstaging {
    fn finish(self: Box<Self>) -> Result<(), CollectiveError> {
        let Self { exchange, to, device } = *self;
        for (mut to, arrived) in to.into_iter().zip(exchange.wait()?) {
            if to.device() == device {
                to.f_copy_(&arrived)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::collective::in_process::run_ranks;

    #[test]
    fn what_is_copied_arrives_where_it_belongs() {
        // The CPU stands for the device: everything is copied twice.
        let arrived = run_ranks(2, Duration::from_secs(20), |gloo| {
            let mut staged = StagedCollective::new(gloo, Device::Cpu);
            let (me, peer) = (staged.rank(), Rank(1 - staged.rank().0));
            let own = Tensor::from_slice(&[f64::from(me.0), 7.0]);
            let room = own.zeros_like();
            let exchange = staged
                .exchange(vec![(peer, own.shallow_clone())], vec![(peer, room.shallow_clone())])
                .unwrap();
            let received = exchange.wait().unwrap();
            assert_eq!(received[0], room, "the caller's own tensor is filled");
            let mut sum = own.copy();
            staged.all_reduce(&mut sum).unwrap();
            staged.leave().unwrap();
            (Vec::<f64>::try_from(room).unwrap(), Vec::<f64>::try_from(sum).unwrap())
        });
        assert_eq!(arrived, [(vec![1.0, 7.0], vec![1.0, 14.0]), (vec![0.0, 7.0], vec![1.0, 14.0])]);
    }
}
