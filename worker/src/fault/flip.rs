//! Bits that a test changes.

use common::ids::Generation;
use tch::{Kind, Tensor};

use super::Phase;
use crate::bridge::with_slice_mut;
use crate::mathematics::kernels::Float;
use crate::mathematics::kernels::digest::digest;

/// What it is a bit of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A parameter.
    Parameter,
    /// What the optimizer remembers of one.
    Momentum,
    /// A number of a class center.
    Center,
    /// A running mean or variance.
    Statistic,
    /// A logical shard's part of a layer's sums in the forward pass.
    Sum {
        /// The layer.
        layer: usize,
    },
    /// The output of a layer's convolution in a logical shard.
    Activation {
        /// The layer.
        layer: usize,
    },
    /// A logical shard's part of the gradient.
    Gradient,
    /// What the rank claims to have computed: as if the step itself had been computed wrongly.
    Claim,
}

/// One bit of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flip {
    /// What it is a bit of.
    pub part: Part,
    /// Which number of that, modulo how many there are.
    pub place: usize,
    /// Which bit, modulo how many there are.
    pub bit: u32,
}

impl Part {
    /// By its name in a plan.
    pub fn named(name: &str, layer: usize) -> Option<Self> {
        Some(match name {
            "parameter" => Self::Parameter,
            "momentum" => Self::Momentum,
            "center" => Self::Center,
            "statistic" => Self::Statistic,
            "sum" => Self::Sum { layer },
            "activation" => Self::Activation { layer },
            "gradient" => Self::Gradient,
            "claim" => Self::Claim,
            _ => return None,
        })
    }

    /// Whether every rank has it alike.
    pub fn is_of_state(self) -> bool {
        matches!(self, Self::Parameter | Self::Momentum | Self::Center | Self::Statistic)
    }
}

impl Flip {
    /// Half in what every rank has alike, half in what a logical shard adds.
    pub fn drawn(numbers: &mut Numbers) -> (Phase, Self) {
        let layer = numbers.below(6) as usize;
        let (phase, part) = match numbers.below(12) {
            0..2 => (Phase::Forward, Part::Parameter),
            2 => (Phase::Backward, Part::Parameter),
            3 => (Phase::Commit, Part::Momentum),
            4 => (Phase::Optimizer, Part::Center),
            5 => (Phase::Data, Part::Statistic),
            6..8 => (Phase::Sum, Part::Sum { layer }),
            8..10 => (Phase::Sum, Part::Activation { layer }),
            _ => (Phase::Backward, Part::Gradient),
        };
        let place = numbers.below(1 << 32) as usize;
        (phase, Self { part, place, bit: numbers.below(64) as u32 })
    }

    /// Changes it in a tensor on the CPU.
    pub fn strike_tensor<T: Float>(self, tensor: &mut Tensor) {
        // A plan for numbers that are not here changes nothing.
        let _ = with_slice_mut(tensor, |numbers: &mut [T]| self.strike(numbers));
    }

    /// Changes it in one of several vectors.
    pub fn strike_one_of<T: Float>(self, vectors: &mut [Vec<T>]) {
        let count = vectors.len().max(1);
        if let Some(vector) = vectors.get_mut(self.place % count) {
            Self { place: self.place / count, ..self }.strike(vector);
        }
    }

    /// Changes it in numbers of the precision `T`, held in 64 bits.
    pub fn strike_rounded<T: Float>(self, numbers: &mut [f64]) {
        let mut own: Vec<T> = numbers.iter().map(|number| T::of(*number)).collect();
        self.strike(&mut own);
        numbers.iter_mut().zip(own).for_each(|(number, own)| *number = own.to_f64());
    }

    /// Changes it in a vector.
    pub fn strike<T: Float>(self, numbers: &mut [T]) {
        let count = numbers.len().max(1);
        if let Some(number) = numbers.get_mut(self.place % count) {
            *number = match T::KIND {
                Kind::Float => {
                    let bits = (number.to_f64() as f32).to_bits() ^ (1 << (self.bit % 32));
                    T::of(f64::from(f32::from_bits(bits)))
                }
                _ => T::of(f64::from_bits(number.to_f64().to_bits() ^ (1 << (self.bit % 64)))),
            };
        }
    }
}

/// Numbers drawn for some steps of a generation.
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// Of a seed.
    pub fn new(seed: u64, generation: Generation, span: u64) -> Self {
        Self(digest(&[seed, generation.0, span]))
    }

    /// The next one, below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = digest(&[self.0]);
        (self.0 >> 16) % end.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_changes() {
        let mut numbers = [1.0_f32, 2.0, -3.0];
        let flip = Flip { part: Part::Parameter, place: 4, bit: 63 };
        flip.strike(&mut numbers);
        assert_eq!(numbers, [1.0, -2.0, -3.0]);
        let mut vectors = [vec![1.0_f64, 2.0], vec![3.0, 4.0]];
        Flip { place: 3, ..flip }.strike_one_of(&mut vectors);
        assert_eq!(vectors, [[1.0, 2.0], [3.0, -4.0]]);
    }

    #[test]
    fn everything_is_drawn() {
        let mut parts = std::collections::BTreeSet::new();
        for generation in 0..200 {
            let mut numbers = Numbers::new(1, Generation(generation), 0);
            parts.insert(format!("{:?}", Flip::drawn(&mut numbers).1.part));
        }
        // Four of the state, six layers' sums and outputs, the gradient.
        assert_eq!(parts.len(), 17);
    }
}
