//! The network's optimizer on the flat vector of all parameters: PyTorch's SGD and Adam, weight decay added to the
//! gradient.
//!
//! Every rank runs it on the same gradient, so every rank holds the same parameters.

use common::config::{Config, Optimizer as Rule};
use tch::Tensor;

use super::kernels::Float;
use super::kernels::update::{Adam, Momentum, Written};
use crate::bridge::error::BridgeError;
use crate::bridge::{with_slices, with_slices_mut};

/// What the optimizer remembers between steps.
#[derive(Debug)]
pub struct OptimizerState {
    /// SGD's momentum, Adam's first moment; flat.
    pub first: Tensor,
    /// Adam's second moment; flat.
    pub second: Option<Tensor>,
    /// Steps taken.
    pub steps: u64,
}

/// The vectors that a step of the optimizer changes: all of a state's, or memory for them.
#[derive(Debug)]
pub struct Vectors {
    /// The parameters.
    pub flat: Tensor,
    /// What the optimizer remembers: its first moment, and Adam's second.
    pub moments: Vec<Tensor>,
}

impl Vectors {
    /// Memory for those of parameters like `flat`.
    pub fn like(flat: &Tensor, optimizer: &OptimizerState) -> Self {
        let moments = optimizer.moments().map(Tensor::zeros_like).collect();
        Self { flat: flat.zeros_like(), moments }
    }
}

/// Adam's decay of the first moment, PyTorch's default.
pub(crate) const BETA_1: f64 = 0.9;
/// Adam's decay of the second moment.
pub(crate) const BETA_2: f64 = 0.999;
/// Added to Adam's denominator.
pub(crate) const EPSILON: f64 = 1e-8;

/// What Adam's moments are divided by after so many steps, because they began at 0: 1 − β₁ᵗ and √(1 − β₂ᵗ).
pub(crate) fn corrections(steps: u64) -> [f64; 2] {
    let missing = |beta| 1.0 - libm::pow(beta, steps as f64);
    [missing(BETA_1), missing(BETA_2).sqrt()]
}

impl OptimizerState {
    /// Nothing remembered, for parameters like `flat`.
    pub fn new(rule: Rule, flat: &Tensor) -> Self {
        let second = match rule {
            Rule::Sgd => None,
            Rule::Adam => Some(flat.zeros_like()),
        };
        Self { first: flat.zeros_like(), second, steps: 0 }
    }

    /// What it remembers of each parameter.
    pub fn moments(&self) -> impl Iterator<Item = &Tensor> {
        [Some(&self.first), self.second.as_ref()].into_iter().flatten()
    }

    /// One step of `flat` against `gradient`, into `spare`, which then holds what was; all are numbers of type `T`.
    ///
    /// # Errors
    /// A tensor's numbers are of another type, or do not lie in this machine's memory, one after the other.
    pub fn step<T: Float>(
        &mut self,
        flat: &mut Tensor,
        gradient: &Tensor,
        (config, learning_rate): (&Config, f64),
        spare: &mut Vectors,
    ) -> Result<Written, BridgeError> {
        self.steps += 1;
        let weight_decay = T::of(config.weight_decay);
        let written = match (&self.second, &mut spare.moments[..]) {
            (None, [first]) => {
                let momentum = T::of(config.momentum);
                let rate = T::of(learning_rate);
                let rule = Momentum { weight_decay, momentum, rate };
                let from = [flat, &self.first, gradient];
                with_slices_mut([&mut spare.flat, first], |into| {
                    with_slices(from, |[w, v, gradient]| rule.step([w, v], gradient, into))
                })??
            }
            (Some(second), [first, spare_second]) => {
                let [correction_1, correction_2] = corrections(self.steps);
                let rule = Adam {
                    weight_decay,
                    decay: T::of(BETA_2),
                    shares: [1.0 - BETA_1, 1.0 - BETA_2].map(T::of),
                    correction: T::of(correction_2),
                    epsilon: T::of(EPSILON),
                    rate: T::of(learning_rate / correction_1),
                };
                let from = [flat, &self.first, second, gradient];
                with_slices_mut([&mut spare.flat, first, spare_second], |into| {
                    with_slices(from, |[w, m, v, gradient]| rule.step([w, m, v], gradient, into))
                })??
            }
            _ => unreachable!("the memory is for this optimizer's vectors"),
        };
        self.exchange(flat, spare);
        Ok(written)
    }

    /// Makes what `other` holds the parameters and what is remembered of them, and the other way round.
    pub fn exchange(&mut self, flat: &mut Tensor, other: &mut Vectors) {
        std::mem::swap(flat, &mut other.flat);
        let own = [Some(&mut self.first), self.second.as_mut()].into_iter().flatten();
        own.zip(&mut other.moments).for_each(|(own, other)| std::mem::swap(own, other));
    }
}
