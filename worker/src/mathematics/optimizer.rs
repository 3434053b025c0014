//! The network's optimizer on the flat vector of all parameters: PyTorch's SGD and Adam, weight decay added to the
//! gradient.
//!
//! Every rank runs it on the same gradient, so every rank holds the same parameters.

use common::config::{Config, Optimizer as Rule};
use tch::Tensor;

use super::kernels::Float;
use super::kernels::update::{Adam, Momentum};
use crate::bridge::error::BridgeError;
use crate::bridge::{with_slice, with_slice_mut};

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

    /// One step of `flat` against `gradient`, in place; both and what is remembered hold numbers of type `T`.
    ///
    /// # Errors
    /// A tensor's numbers are of another type, or do not lie in this machine's memory, one after the other.
    pub fn step<T: Float>(
        &mut self,
        flat: &Tensor,
        gradient: &Tensor,
        config: &Config,
        learning_rate: f64,
    ) -> Result<(), BridgeError> {
        self.steps += 1;
        let weight_decay = T::of(config.weight_decay);
        with_slice(gradient, |gradient: &[T]| {
            with_slice_mut(&mut flat.shallow_clone(), |flat: &mut [T]| {
                with_slice_mut(&mut self.first, |first: &mut [T]| {
                    let Some(second) = &mut self.second else {
                        let momentum = T::of(config.momentum);
                        let rate = T::of(learning_rate);
                        Momentum { weight_decay, momentum, rate }.step(flat, gradient, first);
                        return Ok(());
                    };
                    let [correction_1, correction_2] = corrections(self.steps);
                    let adam = Adam {
                        weight_decay,
                        decay: T::of(BETA_2),
                        shares: [1.0 - BETA_1, 1.0 - BETA_2].map(T::of),
                        correction: T::of(correction_2),
                        epsilon: T::of(EPSILON),
                        rate: T::of(learning_rate / correction_1),
                    };
                    with_slice_mut(second, |second: &mut [T]| {
                        adam.step(flat, gradient, (first, second));
                    })
                })?
            })?
        })?
    }
}
