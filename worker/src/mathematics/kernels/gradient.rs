//! What flows back through max-pool, PReLU and BatchNorm.
//!
//! With u = BatchNorm(z) = γ·x̂ + β, y = PReLU(u), upstream g = ∂L/∂y and h = ∂L/∂u, over the whole global batch of m
//! positions per channel (Ioffe & Szegedy, 2015):
//!
//! ```text
//! ∂L/∂β = Σh    ∂L/∂γ = Σh·x̂    ∂L/∂slope = Σ g·min(u, 0)    ∂L/∂z = γ/σ·(h − Σh/m − x̂·Σ(h·x̂)/m)
//! ```
//!
//! so one pass makes the sums, they are reduced over the global batch, and a second pass applies them. A pool routes
//! its upstream gradient to the maximum of each window, found again from z.

use pulp::Arch;

use super::activation::{Activation, ActivationBlock};
use super::blocks::{Block, LANES, block, block_mut, blocks, each};
use super::extent::{Extent, Window, exceeds};
use super::float::Float;

/// One image of one layer on its way back.
#[derive(Clone, Copy, Debug)]
pub struct Backward<'a, T> {
    /// The convolution's output, `[height, width, channels]`.
    pub z: &'a [T],
    /// ∂L/∂y; of the pool's output, `[height / 2, width / 2, channels]`, where a pool follows.
    pub upstream: &'a [T],
    /// Where its numbers lie.
    pub extent: Extent,
    /// Whether a pool follows.
    pub pooled: bool,
    /// BatchNorm and PReLU as they were applied.
    pub activation: &'a Activation<T>,
}

/// Coefficients of ∂L/∂z = `gradient`·h + `value`·z + `constant`, per channel.
#[derive(Clone, Debug)]
pub struct InputGradient<T> {
    /// γ/σ.
    pub gradient: Vec<T>,
    /// −γ/σ² · Σ(h·x̂)/m.
    pub value: Vec<T>,
    /// −γ/σ · Σh/m − μ·`value`.
    pub constant: Vec<T>,
}

/// `[Σh per channel…, Σh·(z − mean) per channel…, Σg·min(u, 0)]` over the image.
pub fn gradient_sums<T: Float>(layer: Backward<'_, T>, mean: &[f64]) -> Vec<f64> {
    Arch::new().dispatch(
        #[inline(always)]
        || accumulate(layer, mean),
    )
}

/// ∂L/∂z of the image, given the coefficients made from the reduced sums.
pub fn gradient_of_input<T: Float>(
    layer: Backward<'_, T>,
    coefficients: &InputGradient<T>,
    output: &mut [T],
) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            if layer.pooled {
                apply_through_pool(layer, coefficients, output);
            } else {
                apply(layer, coefficients, output);
            }
        },
    );
}

#[inline(always)]
fn accumulate<T: Float>(layer: Backward<'_, T>, mean: &[f64]) -> Vec<f64> {
    let channels = layer.extent.channels;
    let mut totals = vec![0.0; 2 * channels + 1];
    for start in blocks(channels) {
        let sums = Sums::new(layer.activation.block(start), *block(mean, start));
        let sums = if layer.pooled {
            sums.over_windows(&layer, start)
        } else {
            sums.over_positions(&layer, start)
        };
        for lane in 0..LANES {
            totals[start + lane] = sums.gradient[lane];
            totals[channels + start + lane] = sums.product[lane];
            totals[2 * channels] += sums.slope[lane];
        }
    }
    totals
}

/// Running sums of one block of channels.
struct Sums<T> {
    activation: ActivationBlock<T>,
    mean: Block<f64>,
    gradient: Block<f64>,
    product: Block<f64>,
    slope: Block<f64>,
}

impl<T: Float> Sums<T> {
    #[inline(always)]
    fn new(activation: ActivationBlock<T>, mean: Block<f64>) -> Self {
        let zero = [0.0; LANES];
        Self { activation, mean, gradient: zero, product: zero, slope: zero }
    }

    #[inline(always)]
    fn over_positions(mut self, layer: &Backward<'_, T>, start: usize) -> Self {
        let channels = layer.extent.channels;
        let positions = layer.z.chunks_exact(channels);
        for (z, upstream) in positions.zip(layer.upstream.chunks_exact(channels)) {
            let z = block(z, start);
            let normalised = self.activation.normalise(z);
            self.add(z, &normalised, block(upstream, start));
        }
        self
    }

    #[inline(always)]
    fn over_windows(mut self, layer: &Backward<'_, T>, start: usize) -> Self {
        for window in layer.extent.windows() {
            let maximum = Maximum::of(layer.z, &window, start, &self.activation);
            self.add(&maximum.z, &maximum.normalised, block(layer.upstream, window.output + start));
        }
        self
    }

    #[inline(always)]
    fn add(&mut self, z: &Block<T>, normalised: &Block<T>, upstream: &Block<T>) {
        let flowing = self.activation.backward(normalised, upstream);
        let flowing = each(|lane| flowing[lane].to_f64());
        let negative =
            each(|lane| if normalised[lane] > T::ZERO { T::ZERO } else { normalised[lane] });
        self.gradient = each(|lane| self.gradient[lane] + flowing[lane]);
        self.product =
            each(|lane| self.product[lane] + flowing[lane] * (z[lane].to_f64() - self.mean[lane]));
        self.slope =
            each(|lane| self.slope[lane] + upstream[lane].to_f64() * negative[lane].to_f64());
    }
}

/// Where a window's activation is highest, channel by channel.
struct Maximum<T> {
    z: Block<T>,
    normalised: Block<T>,
    place: Block<T>,
}

impl<T: Float> Maximum<T> {
    #[inline(always)]
    fn of(z: &[T], window: &Window, start: usize, activation: &ActivationBlock<T>) -> Self {
        let first = *block(z, window.inputs[0] + start);
        let normalised = activation.normalise(&first);
        let mut highest = activation.activate(&normalised);
        let mut maximum = Self { z: first, normalised, place: [T::ZERO; LANES] };
        for place in 1..window.inputs.len() {
            let z = block(z, window.inputs[place] + start);
            let normalised = activation.normalise(z);
            let value = activation.activate(&normalised);
            // A number like the others, so that one comparison's outcome selects all four.
            let here = T::of(place as f64);
            let higher = each(|lane| exceeds(value[lane], highest[lane]));
            let select = |new: Block<T>, old: Block<T>| {
                each(|lane| if higher[lane] { new[lane] } else { old[lane] })
            };
            highest = select(value, highest);
            maximum = Self {
                z: select(*z, maximum.z),
                normalised: select(normalised, maximum.normalised),
                place: select([here; LANES], maximum.place),
            };
        }
        maximum
    }
}

/// A block of [`InputGradient`].
struct CoefficientBlock<T> {
    gradient: Block<T>,
    value: Block<T>,
    constant: Block<T>,
}

impl<T: Float> InputGradient<T> {
    #[inline(always)]
    fn block(&self, start: usize) -> CoefficientBlock<T> {
        CoefficientBlock {
            gradient: *block(&self.gradient, start),
            value: *block(&self.value, start),
            constant: *block(&self.constant, start),
        }
    }
}

impl<T: Float> CoefficientBlock<T> {
    /// ∂L/∂z where ∂L/∂u is `flowing`.
    #[inline(always)]
    fn apply(&self, flowing: &Block<T>, z: &Block<T>) -> Block<T> {
        each(|lane| {
            self.gradient[lane] * flowing[lane] + (self.value[lane] * z[lane] + self.constant[lane])
        })
    }
}

#[inline(always)]
fn apply<T: Float>(layer: Backward<'_, T>, coefficients: &InputGradient<T>, output: &mut [T]) {
    let channels = layer.extent.channels;
    let rows = layer.z.chunks_exact(channels).zip(layer.upstream.chunks_exact(channels));
    for ((z, upstream), output) in rows.zip(output.chunks_exact_mut(channels)) {
        for start in blocks(channels) {
            let activation = layer.activation.block(start);
            let z = block(z, start);
            let flowing = activation.backward(&activation.normalise(z), block(upstream, start));
            *block_mut(output, start) = coefficients.block(start).apply(&flowing, z);
        }
    }
}

#[inline(always)]
fn apply_through_pool<T: Float>(
    layer: Backward<'_, T>,
    coefficients: &InputGradient<T>,
    output: &mut [T],
) {
    for window in layer.extent.windows() {
        for start in blocks(layer.extent.channels) {
            let activation = layer.activation.block(start);
            let coefficients = coefficients.block(start);
            let maximum = Maximum::of(layer.z, &window, start, &activation);
            let upstream = block(layer.upstream, window.output + start);
            let flowing = activation.backward(&maximum.normalised, upstream);
            for (place, input) in window.inputs.iter().enumerate() {
                let here = T::of(place as f64);
                let flowing =
                    each(|lane| if maximum.place[lane] == here { flowing[lane] } else { T::ZERO });
                let gradient = coefficients.apply(&flowing, block(layer.z, input + start));
                *block_mut(output, input + start) = gradient;
            }
        }
    }
    for position in layer.extent.outside_windows() {
        for start in blocks(layer.extent.channels) {
            // Nothing flows where no window is.
            let z = block(layer.z, position + start);
            *block_mut(output, position + start) =
                coefficients.block(start).apply(&[T::ZERO; LANES], z);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests_support::{layer, reference};
    use super::*;

    fn close(a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() <= 1e-12 * (1.0 + b.abs()), "{a} is not {b}");
        }
    }

    #[test]
    fn equals_the_plain_composition() {
        let sides = [(4, 4), (7, 7), (4, 7), (5, 2), (2, 3)];
        for (sides, pooled) in sides.into_iter().flat_map(|sides| [(sides, false), (sides, true)]) {
            let layer = layer(sides);
            let expected = reference(&layer);
            let (upstream, flowing) = expected.upstream(pooled);
            let backward = Backward {
                z: &layer.z,
                upstream: &upstream,
                extent: layer.extent,
                pooled,
                activation: &layer.activation,
            };
            let sums = gradient_sums(backward, &layer.mean);
            close(&sums, &expected.sums(&layer, &flowing));
            let channels = layer.extent.channels;
            let coefficients = InputGradient {
                gradient: (0..channels).map(|c| 0.5 + c as f64).collect(),
                value: (0..channels).map(|c| 0.1 * c as f64).collect(),
                constant: (0..channels).map(|c| 0.01 * c as f64 - 0.1).collect(),
            };
            let mut output = vec![f64::NAN; layer.z.len()];
            gradient_of_input(backward, &coefficients, &mut output);
            close(&output, &expected.input_gradient(&layer, &flowing, &coefficients));
        }
    }
}
