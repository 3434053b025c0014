//! One rank: nothing to exchange. The same trainer runs on it.

use common::ids::{Rank, WorldSize};
use tch::Tensor;

use super::request::require_peers;
use super::{AbortHandle, Collective, CollectiveError, PendingExchange, Recordable};

/// A generation of one member.
#[derive(Debug, Default)]
pub struct SoloCollective {
    abort: AbortHandle,
}

impl SoloCollective {
    /// World size one; `abort` ends it like any other.
    pub fn new(abort: AbortHandle) -> Self {
        Self { abort }
    }
}

impl Collective for SoloCollective {
    fn rank(&self) -> Rank {
        Rank::FIRST
    }

    fn world_size(&self) -> WorldSize {
        WorldSize(1)
    }

    fn exchange(
        &mut self,
        sends: Vec<(Rank, Tensor)>,
        receives: Vec<(Rank, Tensor)>,
    ) -> Result<PendingExchange, CollectiveError> {
        self.abort.check()?;
        for list in [&sends, &receives] {
            require_peers(self.rank(), self.world_size(), list)?;
        }
        Ok(PendingExchange::complete())
    }

    fn all_reduce(&mut self, _tensor: &mut Tensor) -> Result<(), CollectiveError> {
        self.abort.check()
    }

    fn recordable(&self) -> Recordable {
        Recordable::Yes
    }

    fn abort_handle(&self) -> AbortHandle {
        self.abort.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_rank_has_nobody_to_wait_for() {
        let mut solo = SoloCollective::default();
        let mut sum = Tensor::from_slice(&[1.0f64, 2.0]);
        solo.all_reduce(&mut sum).unwrap();
        assert_eq!(sum, Tensor::from_slice(&[1.0f64, 2.0]));
        assert!(solo.exchange(Vec::new(), Vec::new()).unwrap().wait().unwrap().is_empty());
        solo.leave().unwrap();

        let to_itself = vec![(Rank(0), Tensor::from(1))];
        assert!(matches!(
            solo.exchange(to_itself, Vec::new()),
            Err(CollectiveError::Unsuitable(_))
        ));
        solo.abort_handle().abort("enough");
        assert!(matches!(solo.barrier(), Err(CollectiveError::Aborted { .. })));
    }
}
