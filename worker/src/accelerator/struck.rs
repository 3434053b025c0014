//! Where a test changes a bit of a copy of the state.

use tch::{Device, Kind};

use super::copy::StateCopy;
use crate::fault::{Flip, Part};

impl StateCopy {
    /// Changes the bit, if it is one of a state; nothing where the device has failed.
    pub fn strike(&mut self, flip: Flip) {
        let of = match flip.part {
            Part::Parameter => &mut self.flat,
            Part::Momentum => &mut self.first,
            Part::Center => &mut self.centers,
            Part::Statistic => &mut self.running,
            Part::Sum { .. } | Part::Activation { .. } | Part::Gradient | Part::Claim => return,
        };
        let Ok(mut here) = of.f_to_device(Device::Cpu) else { return };
        match of.kind() {
            Kind::Double => flip.strike_tensor::<f64>(&mut here),
            _ => flip.strike_tensor::<f32>(&mut here),
        }
        let _ = of.f_copy_(&here);
    }
}
