//! Batch normalisation over the global batch, from sums that all ranks share (Ioffe & Szegedy, 2015).
//!
//! Called between a layer's reduction and its next pass; arithmetic on one number per channel, in 64 bits.

use super::kernels::gradient::InputGradient;
use super::kernels::{Activation, Float};

/// Added to the variance before its root is taken, PyTorch's default.
const EPSILON: f64 = 1e-5;
/// Weight of the new batch in the running statistics, PyTorch's default.
const MOMENTUM: f64 = 0.1;

/// A layer's scale γ, shift β (per channel) and PReLU slope.
#[derive(Clone, Debug)]
pub struct NormParameters {
    /// γ.
    pub weight: Vec<f64>,
    /// β.
    pub bias: Vec<f64>,
    /// PReLU's one slope.
    pub slope: f64,
}

/// Mean and variance per channel that evaluation uses.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningStatistics {
    /// Exponential mean of the batches' means.
    pub mean: Vec<f64>,
    /// Exponential mean of the batches' unbiased variances.
    pub variance: Vec<f64>,
}

impl RunningStatistics {
    /// Mean 0, variance 1.
    pub fn new(channels: usize) -> Self {
        Self { mean: vec![0.0; channels], variance: vec![1.0; channels] }
    }

    /// BatchNorm and PReLU as evaluation applies them.
    pub fn activation<T: Float>(&self, parameters: &NormParameters) -> Activation<T> {
        activation(&self.mean, &self.variance, parameters)
    }
}

/// Mean and variance per channel of one global batch.
#[derive(Clone, Debug)]
pub struct BatchStatistics {
    /// Mean.
    pub mean: Vec<f64>,
    /// Biased variance.
    variance: Vec<f64>,
    /// Samples times positions that the statistics are over.
    positions: f64,
}

impl BatchStatistics {
    /// From `[Σz…, Σz²…]` over `positions` numbers per channel.
    pub fn from_sums(sums: &[f64], positions: usize) -> Self {
        let positions = positions as f64;
        let (sums, squares) = sums.split_at(sums.len() / 2);
        let mean: Vec<f64> = sums.iter().map(|sum| sum / positions).collect();
        let variance = squares.iter().zip(&mean);
        // Not `f64::max`, which would turn the NaN of a diverged run into a 0.
        let variance = variance.map(|(squares, mean)| {
            let variance = squares / positions - mean * mean;
            if variance < 0.0 { 0.0 } else { variance }
        });
        Self { variance: variance.collect(), mean, positions }
    }

    /// BatchNorm and PReLU as training applies them.
    pub fn activation<T: Float>(&self, parameters: &NormParameters) -> Activation<T> {
        activation(&self.mean, &self.variance, parameters)
    }

    /// The running statistics after this batch, each number rounded to the run's precision.
    pub fn update<T: Float>(&self, running: &RunningStatistics) -> RunningStatistics {
        let blend = |old: &f64, new: f64| T::of((1.0 - MOMENTUM) * old + MOMENTUM * new).to_f64();
        let unbiased = self.positions / (self.positions - 1.0).max(1.0);
        RunningStatistics {
            mean: running.mean.iter().zip(&self.mean).map(|(old, new)| blend(old, *new)).collect(),
            variance: (running.variance.iter().zip(&self.variance))
                .map(|(old, new)| blend(old, new * unbiased))
                .collect(),
        }
    }

    /// What the reduced backward sums `[Σh…, Σh·(z − mean)…, slope]` say: the gradients of γ, β and the slope, and
    /// the coefficients of the gradient of z.
    pub fn backward<T: Float>(
        &self,
        sums: &[f64],
        parameters: &NormParameters,
    ) -> (NormParameters, InputGradient<T>) {
        let channels = self.mean.len();
        let (upstream, rest) = sums.split_at(channels);
        let (products, slope) = rest.split_at(channels);
        let mut gradient = NormParameters {
            weight: Vec::with_capacity(channels),
            bias: upstream.to_vec(),
            slope: slope[0],
        };
        let mut input = InputGradient {
            gradient: Vec::with_capacity(channels),
            value: Vec::with_capacity(channels),
            constant: Vec::with_capacity(channels),
        };
        for channel in 0..channels {
            let inverse = inverse_deviation(self.variance[channel]);
            let weight_gradient = products[channel] * inverse;
            let scale = parameters.weight[channel] * inverse;
            let value = -scale * inverse * weight_gradient / self.positions;
            let constant = -scale * upstream[channel] / self.positions - value * self.mean[channel];
            gradient.weight.push(weight_gradient);
            input.gradient.push(T::of(scale));
            input.value.push(T::of(value));
            input.constant.push(T::of(constant));
        }
        (gradient, input)
    }
}

fn inverse_deviation(variance: f64) -> f64 {
    1.0 / (variance + EPSILON).sqrt()
}

fn activation<T: Float>(
    mean: &[f64],
    variance: &[f64],
    parameters: &NormParameters,
) -> Activation<T> {
    let scale: Vec<f64> = (variance.iter().zip(&parameters.weight))
        .map(|(variance, weight)| weight * inverse_deviation(*variance))
        .collect();
    let shift = scale.iter().zip(mean).zip(&parameters.bias);
    Activation {
        shift: shift.map(|((scale, mean), bias)| T::of(bias - mean * scale)).collect(),
        scale: scale.iter().map(|scale| T::of(*scale)).collect(),
        slope: T::of(parameters.slope),
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;
    use crate::mathematics::kernels::gradient::{Backward, gradient_of_input, gradient_sums};
    use crate::mathematics::kernels::statistics::channel_sums;
    use crate::mathematics::kernels::{Extent, activation::normalise_and_activate};

    fn values(tensor: &Tensor) -> Vec<f64> {
        Vec::try_from(tensor.contiguous().reshape([-1])).unwrap()
    }

    fn close(a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs() / (1.0 + b.abs()));
        assert!(worst.fold(0.0, f64::max) < 1e-12, "{a:?}\n{b:?}");
    }

    #[test]
    fn forward_backward_and_running_statistics_are_pytorchs() {
        // Four images of 5 × 5: without a pool it is no matter where one ends.
        let extent = Extent { height: 20, width: 5, channels: 16 };
        let z = Tensor::randn([4, 16, 5, 5], (Kind::Double, Device::Cpu)) * 3.0 + 1.5;
        let z = z.set_requires_grad(true);
        let random = || Tensor::randn([16], (Kind::Double, Device::Cpu)).set_requires_grad(true);
        let (weight, bias) = (random(), random());
        let slope = Tensor::from_slice(&[0.25]).set_requires_grad(true);
        let mean = Tensor::zeros([16], (Kind::Double, Device::Cpu));
        let variance = Tensor::ones([16], (Kind::Double, Device::Cpu));
        let y = z.batch_norm(
            Some(&weight),
            Some(&bias),
            Some(&mean),
            Some(&variance),
            true,
            0.1,
            1e-5,
            false,
        );
        let y = y.prelu(&slope);
        let upstream = Tensor::randn([4, 16, 5, 5], (Kind::Double, Device::Cpu));
        (&y * &upstream).sum(Kind::Double).backward();

        let in_memory_order = |t: &Tensor| values(&t.detach().permute([0, 2, 3, 1]));
        let (z_values, upstream) = (in_memory_order(&z), in_memory_order(&upstream));
        let parameters = NormParameters {
            weight: values(&weight.detach()),
            bias: values(&bias.detach()),
            slope: 0.25,
        };
        let batch = BatchStatistics::from_sums(&channel_sums(&z_values, 16), 100);
        let activation = batch.activation(&parameters);
        let mut output = vec![0.0; z_values.len()];
        normalise_and_activate(&z_values, &activation, &mut output);
        close(&output, &in_memory_order(&y));

        let running = batch.update::<f64>(&RunningStatistics::new(16));
        close(&running.mean, &values(&mean));
        close(&running.variance, &values(&variance));

        let layer = Backward {
            z: &z_values,
            upstream: &upstream,
            extent,
            pooled: false,
            activation: &activation,
        };
        let sums = gradient_sums(layer, &batch.mean);
        let (gradient, coefficients) = batch.backward::<f64>(&sums, &parameters);
        close(&gradient.weight, &values(&weight.grad()));
        close(&gradient.bias, &values(&bias.grad()));
        close(&[gradient.slope], &values(&slope.grad()));
        gradient_of_input(layer, &coefficients, &mut output);
        close(&output, &in_memory_order(&z.grad()));
    }
}
