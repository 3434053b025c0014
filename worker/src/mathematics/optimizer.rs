//! The network's optimizer on the flat vector of all parameters: PyTorch's SGD and Adam, weight decay added to the
//! gradient.
//!
//! Every rank runs it on the same gradient, so every rank holds the same parameters.

use common::config::{Config, Optimizer as Rule};
use tch::{TchError, Tensor};

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

impl OptimizerState {
    /// Nothing remembered, for parameters like `flat`.
    pub fn new(rule: Rule, flat: &Tensor) -> Self {
        let second = match rule {
            Rule::Sgd => None,
            Rule::Adam => Some(flat.zeros_like()),
        };
        Self { first: flat.zeros_like(), second, steps: 0 }
    }

    /// One step of `flat` against `gradient`, in place.
    ///
    /// # Errors
    /// libtorch failed; what is remembered may then be half changed and the state must be discarded.
    pub fn step(
        &mut self,
        flat: &Tensor,
        gradient: &Tensor,
        config: &Config,
        learning_rate: f64,
    ) -> Result<(), TchError> {
        let gradient = gradient.f_add(&flat.f_mul_scalar(config.weight_decay)?)?;
        self.steps += 1;
        match &mut self.second {
            None => {
                let _ = self.first.f_mul_scalar_(config.momentum)?.f_add_(&gradient)?;
                let _ = flat.shallow_clone().f_sub_(&self.first.f_mul_scalar(learning_rate)?)?;
            }
            Some(second) => {
                let square = gradient.f_square()?.f_mul_scalar(1.0 - BETA_2)?;
                let _ = self.first.f_lerp_(&gradient, 1.0 - BETA_1)?;
                let _ = second.f_mul_scalar_(BETA_2)?.f_add_(&square)?;
                let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
                let correction_1 = 1.0 - BETA_1.powi(steps);
                let correction_2 = (1.0 - BETA_2.powi(steps)).sqrt();
                let denominator =
                    second.f_sqrt()?.f_div_scalar(correction_2)?.f_add_scalar(EPSILON)?;
                let update =
                    self.first.f_div(&denominator)?.f_mul_scalar(learning_rate / correction_1)?;
                let _ = flat.shallow_clone().f_sub_(&update)?;
            }
        }
        Ok(())
    }
}
