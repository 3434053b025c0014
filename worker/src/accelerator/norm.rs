//! Batch normalisation over the global batch, from sums that lie on the device: `crate::mathematics::batch_norm` with tensors for
//! numbers, so that nobody waits for them. All of it in 64 bits on one number per channel.

use tch::{Kind, Tensor};

use crate::network::ComputeError;
use crate::network::layout::{Layout, NormEntries};

/// Added to the variance before its root is taken, PyTorch's default.
const EPSILON: f64 = 1e-5;
/// Weight of the new batch in the running statistics, PyTorch's default.
const MOMENTUM: f64 = 0.1;

/// A layer's γ, β `[channels]` and PReLU slope `[1]`, in 64 bits.
pub struct NormParameters {
    /// γ.
    pub weight: Tensor,
    /// β.
    pub bias: Tensor,
    /// PReLU's one slope.
    pub slope: Tensor,
}

impl NormParameters {
    /// Out of the flat vector.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn of(layout: &Layout, flat: &Tensor, norm: NormEntries) -> Result<Self, ComputeError> {
        let read = |index| layout.view(flat, index).f_to_kind(Kind::Double);
        Ok(Self { weight: read(norm.weight)?, bias: read(norm.bias)?, slope: read(norm.slope)? })
    }
}

/// BatchNorm and PReLU as the passes apply them, `[1, channels, 1, 1]`: `u = scale·z + shift`, then PReLU.
pub struct Activation {
    /// γ / √(σ² + ε).
    pub scale: Tensor,
    /// β − μ·scale.
    pub shift: Tensor,
    /// PReLU's one slope, `[1, 1, 1, 1]`.
    pub slope: Tensor,
}

/// Coefficients of ∂L/∂z = `gradient`·h + `value`·z + `constant`, `[1, channels, 1, 1]`.
pub struct InputGradient {
    /// γ/σ.
    pub gradient: Tensor,
    /// −γ/σ² · Σ(h·x̂)/m.
    pub value: Tensor,
    /// −γ/σ · Σh/m − μ·`value`.
    pub constant: Tensor,
}

/// Mean and variance per channel, `[channels]`.
pub struct Statistics {
    /// Mean.
    pub mean: Tensor,
    variance: Tensor,
    positions: f64,
}

impl Statistics {
    /// Of a global batch, from `[Σz…, Σz²…]` over `positions` numbers per channel.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn from_sums(sums: &Tensor, positions: usize) -> Result<Self, ComputeError> {
        let positions = positions as f64;
        let means = sums.f_div_scalar(positions)?.f_view([2, -1])?;
        let mean = means.f_select(0, 0)?;
        // `clamp_min` keeps the NaN of a diverged run.
        let variance = means.f_select(0, 1)?.f_sub(&mean.f_square()?)?.f_clamp_min(0.0)?;
        Ok(Self { mean, variance, positions })
    }

    /// Running ones, as evaluation applies them.
    pub fn running(mean: Tensor, variance: Tensor) -> Self {
        Self { mean, variance, positions: 0.0 }
    }

    /// Mean, then unbiased variance, as the running statistics take them.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn unbiased(&self) -> Result<(Tensor, Tensor), ComputeError> {
        let factor = self.positions / (self.positions - 1.0).max(1.0);
        Ok((self.mean.shallow_clone(), self.variance.f_mul_scalar(factor)?))
    }

    /// BatchNorm and PReLU in numbers of `kind`.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn activation(
        &self,
        norm: &NormParameters,
        kind: Kind,
    ) -> Result<Activation, ComputeError> {
        let scale = norm.weight.f_mul(&self.inverse_deviation()?)?;
        let shift = norm.bias.f_sub(&self.mean.f_mul(&scale)?)?;
        Ok(Activation {
            scale: per_channel(&scale, kind)?,
            shift: per_channel(&shift, kind)?,
            slope: per_channel(&norm.slope, kind)?,
        })
    }

    /// What the reduced backward sums `[Σh…, Σh·(z − mean)…, slope]` say: the gradients of γ, β and the slope, and the
    /// coefficients of the gradient of z.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn backward(
        &self,
        sums: &Tensor,
        norm: &NormParameters,
        kind: Kind,
    ) -> Result<([Tensor; 3], InputGradient), ComputeError> {
        let channels = self.mean.size()[0];
        let upstream = sums.f_narrow(0, 0, channels)?;
        let products = sums.f_narrow(0, channels, channels)?;
        let slope = sums.f_narrow(0, 2 * channels, 1)?;
        let inverse = self.inverse_deviation()?;
        let weight_gradient = products.f_mul(&inverse)?;
        let scale = norm.weight.f_mul(&inverse)?;
        let per_position = -1.0 / self.positions;
        let value = scale.f_mul(&inverse)?.f_mul(&weight_gradient)?.f_mul_scalar(per_position)?;
        let constant =
            scale.f_mul(&upstream)?.f_mul_scalar(per_position)?.f_sub(&value.f_mul(&self.mean)?)?;
        let input = InputGradient {
            gradient: per_channel(&scale, kind)?,
            value: per_channel(&value, kind)?,
            constant: per_channel(&constant, kind)?,
        };
        Ok(([weight_gradient, upstream, slope], input))
    }

    fn inverse_deviation(&self) -> Result<Tensor, ComputeError> {
        Ok(self.variance.f_add_scalar(EPSILON)?.f_rsqrt()?)
    }
}

/// The running statistics `[2, channels of all layers]` after a batch with these statistics of every layer.
///
/// # Errors
/// Memory ran out.
pub fn updated(running: &Tensor, statistics: &[Statistics]) -> Result<Tensor, ComputeError> {
    if statistics.is_empty() {
        return Ok(running.shallow_clone());
    }
    let new: Vec<(Tensor, Tensor)> =
        statistics.iter().map(Statistics::unbiased).collect::<Result<_, _>>()?;
    let (means, variances): (Vec<_>, Vec<_>) = new.into_iter().unzip();
    let new = Tensor::f_stack(&[Tensor::f_cat(&means, 0)?, Tensor::f_cat(&variances, 0)?], 0)?;
    let old = running.f_to_kind(Kind::Double)?.f_mul_scalar(1.0 - MOMENTUM)?;
    Ok(old.f_add(&new.f_mul_scalar(MOMENTUM)?)?.f_to_kind(running.kind())?)
}

/// One number per channel, to be combined with `[images, channels, height, width]`.
pub fn per_channel(values: &Tensor, kind: Kind) -> Result<Tensor, ComputeError> {
    Ok(values.f_to_kind(kind)?.f_view([1, -1, 1, 1])?)
}
