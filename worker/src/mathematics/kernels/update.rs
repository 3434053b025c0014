//! An optimizer's step: each parameter from its own numbers, one operation after the other, each rounded.

use pulp::Arch;

use super::Float;

/// SGD with momentum (PyTorch's: no dampening, not Nesterov's).
#[derive(Clone, Copy, Debug)]
pub struct Momentum<T> {
    /// Of the parameter added to its gradient.
    pub weight_decay: T,
    /// Of the momentum that is kept.
    pub momentum: T,
    /// The learning rate.
    pub rate: T,
}

impl<T: Float> Momentum<T> {
    /// g = gradient + λ·w, v ← μ·v + g, w ← w − η·v.
    pub fn step(self, parameters: &mut [T], gradient: &[T], velocity: &mut [T]) {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for ((w, &gradient), v) in parameters.iter_mut().zip(gradient).zip(velocity) {
                    let g = gradient + *w * self.weight_decay;
                    *v = *v * self.momentum + g;
                    *w = *w - *v * self.rate;
                }
            },
        );
    }
}

/// Adam (Kingma and Ba, 2015), weight decay added to the gradient.
#[derive(Clone, Copy, Debug)]
pub struct Adam<T> {
    /// Of the parameter added to its gradient.
    pub weight_decay: T,
    /// β₂.
    pub decay: T,
    /// 1 − β₁ and 1 − β₂.
    pub shares: [T; 2],
    /// √(1 − β₂ᵗ) after this step, the t-th.
    pub correction: T,
    /// Added to the denominator.
    pub epsilon: T,
    /// The learning rate, divided by 1 − β₁ᵗ.
    pub rate: T,
}

impl<T: Float> Adam<T> {
    /// g = gradient + λ·w, m ← m + (1 − β₁)(g − m), v ← β₂·v + (1 − β₂)·g², w ← w − η·m/(√v/correction + ε).
    pub fn step(self, parameters: &mut [T], gradient: &[T], (first, second): (&mut [T], &mut [T])) {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let moments = first.iter_mut().zip(second);
                for ((w, &gradient), (m, v)) in parameters.iter_mut().zip(gradient).zip(moments) {
                    let g = gradient + *w * self.weight_decay;
                    *m = *m + (g - *m) * self.shares[0];
                    *v = *v * self.decay + g * g * self.shares[1];
                    *w = *w - *m / (v.sqrt() / self.correction + self.epsilon) * self.rate;
                }
            },
        );
    }
}
