//! Where a test changes a bit of a state.

use super::run_state::State;
use crate::fault::{Flip, Part};
use crate::mathematics::kernels::Float;

impl State {
    /// Changes the bit, if it is one of a state.
    pub fn strike<T: Float>(&mut self, flip: Flip) {
        match flip.part {
            Part::Parameter => flip.strike_tensor::<T>(&mut self.flat),
            Part::Momentum => flip.strike_tensor::<T>(&mut self.optimizer.first),
            Part::Center => flip.strike_rounded::<T>(&mut self.centers),
            Part::Statistic => {
                let layers = self.running.len().max(1);
                if let Some(running) = self.running.get_mut(flip.place % layers) {
                    let is_mean = flip.bit.is_multiple_of(2);
                    let of = if is_mean { &mut running.mean } else { &mut running.variance };
                    flip.strike_rounded::<T>(of);
                }
            }
            Part::Sum { .. } | Part::Activation { .. } | Part::Gradient | Part::Claim => {}
        }
    }
}
