//! One number for everything of a copy of the state that all ranks have alike, computed where it lies: Σ word·key over the
//! words of 32 bits of its numbers, modulo 2⁶⁴, with an odd key for each place, as `mathematics::kernels::digest` does. Sums
//! of whole numbers are the same in any order, so every device comes to the same.

use tch::{Device, Kind, Tensor};

use super::copy::StateCopy;
use crate::mathematics::kernels::digest::key;
use crate::network::ComputeError;

/// Words of 32 bits that a number has at most.
const WORDS: usize = 2;

/// An odd number below 2³² for each place, in a device's memory.
#[derive(Debug)]
pub struct Keys(Tensor);

impl Keys {
    /// For at most so many numbers at once.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn for_numbers(count: usize, device: Device) -> Result<Self, ComputeError> {
        // A copy has fewer parts than this.
        let places = 0..(count * WORDS).max(8) as u64;
        let keys: Vec<i64> = places.map(|place| i64::from(key(place))).collect();
        Ok(Self(Tensor::from_slice(&keys).f_to_device(device)?))
    }

    /// That of a copy, a whole number `[1]`.
    ///
    /// # Errors
    /// The device failed.
    pub fn of_copy(&self, copy: &StateCopy) -> Result<Tensor, ComputeError> {
        let StateCopy { flat, first, second, running, centers, good, trail } = copy;
        let mut parts = vec![trail.shallow_clone()];
        for numbers in [flat, first, running, centers, good].into_iter().chain(second) {
            parts.push(self.of_numbers(numbers)?);
        }
        self.sum(&Tensor::f_cat(&parts, 0)?)
    }

    /// What becomes of a trail once these numbers are added to it, a whole number `[1]`.
    ///
    /// # Errors
    /// The device failed.
    pub fn grown(&self, trail: &Tensor, numbers: &Tensor) -> Result<Tensor, ComputeError> {
        self.sum(&Tensor::f_cat(&[trail, &self.of_numbers(numbers)?], 0)?)
    }

    /// Of numbers of 32 or 64 bits.
    fn of_numbers(&self, numbers: &Tensor) -> Result<Tensor, ComputeError> {
        self.sum(&numbers.f_contiguous()?.f_view([-1])?.f_view_dtype(Kind::Int)?)
    }

    /// Σ word·key, a whole number `[1]`.
    fn sum(&self, words: &Tensor) -> Result<Tensor, ComputeError> {
        let keys = self.0.f_narrow(0, 0, words.size()[0])?;
        Ok(words.f_mul(&keys)?.f_sum(Kind::Int64)?.f_view([1])?)
    }
}

/// The upper half of a whole number `[1]` and the lower, as they travel: `[2]`.
///
/// # Errors
/// The device failed.
pub fn halves(number: &Tensor) -> Result<Tensor, ComputeError> {
    let lower = |number: Tensor| Ok::<_, ComputeError>(number.f_bitwise_and(0xffff_ffff_i64)?);
    let upper = lower(number.f_bitwise_right_shift_tensor_scalar(32)?)?;
    let halves = [upper, lower(number.shallow_clone())?];
    Ok(Tensor::f_cat(&halves, 0)?.f_to_kind(Kind::Double)?)
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};
    use common::config::Config;
    use common::data_shape::DataShape;

    use super::*;
    use crate::fault::{Flip, Part};
    use crate::reduction;
    use crate::state::State;

    fn of(keys: &Keys, copy: &StateCopy) -> u64 {
        i64::try_from(keys.of_copy(copy).unwrap()).unwrap().cast_unsigned()
    }

    #[test]
    fn whatever_a_step_changes_shows() {
        for (optimizer, kind) in
            [("sgd", Kind::Float), ("adam", Kind::Float), ("sgd", Kind::Double)]
        {
            let command = Config::augment_args(Command::new("worker"));
            let matches = command.get_matches_from(["worker", "--optimizer", optimizer]);
            let config = Config::from_arg_matches(&matches).unwrap();
            let state = State::initial(&config, DataShape::MNIST, kind);
            let mut copy = StateCopy::of(&state, Device::Cpu).unwrap().duplicate().unwrap();
            let keys = Keys::for_numbers(state.flat.numel(), Device::Cpu).unwrap();
            let expected = of(&keys, &copy);
            for part in [Part::Parameter, Part::Momentum, Part::Center, Part::Statistic] {
                for (place, bit) in [(0, 0), (19, 31), (1_000_003, 13), (77, 63)] {
                    let flip = Flip { part, place, bit };
                    copy.strike(flip);
                    assert_ne!(of(&keys, &copy), expected, "{flip:?}");
                    copy.strike(flip);
                    assert_eq!(of(&keys, &copy), expected);
                }
            }
            copy.good = copy.good.zeros_like();
            assert_ne!(of(&keys, &copy), expected);
            copy.good = copy.good.ones_like();
            let rows = Tensor::from_slice(&[0.5, 1.0, 7.0, 7.0]).view([1, 4]);
            copy.trail = keys.grown(&copy.trail, &rows).unwrap();
            let grown = of(&keys, &copy);
            assert_ne!(grown, expected);
            copy.trail = keys.grown(&copy.trail, &rows).unwrap();
            assert_ne!(of(&keys, &copy), grown);
            if let Some(second) = &mut copy.second {
                let _ = second.narrow(0, 5, 1).fill_(0.5);
                assert_ne!(of(&keys, &copy), grown);
            }
        }
    }

    #[test]
    fn halves_are_those_that_the_host_knows() {
        for number in [0_u64, 1, 1 << 31, 1 << 32, 1 << 63, u64::MAX, 0x8000_0001_7fff_ffff] {
            let tensor = Tensor::from_slice(&[number.cast_signed()]);
            let halves = Vec::<f64>::try_from(halves(&tensor).unwrap()).unwrap();
            assert_eq!(halves, reduction::halves::of(number));
        }
    }
}
