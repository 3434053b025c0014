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

use super::{Activation, Extent, Float, LANES, activate, exceeds};

/// One layer of one logical shard on its way back.
#[derive(Clone, Copy, Debug)]
pub struct Backward<'a, T> {
    /// The convolution's output, `[images, side, side, channels]`.
    pub z: &'a [T],
    /// ∂L/∂y; of the pool's output, `[images, side / 2, side / 2, channels]`, where a pool follows.
    pub upstream: &'a [T],
    /// Where the samples lie.
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

/// `[Σh per channel…, Σh·(z − mean) per channel…, Σg·min(u, 0)]` over the shard.
pub fn gradient_sums<T: Float>(layer: Backward<'_, T>, mean: &[f64]) -> Vec<f64> {
    Arch::new().dispatch(
        #[inline(always)]
        || accumulate(layer, mean),
    )
}

/// ∂L/∂z of the shard, given the coefficients made from the reduced sums.
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
    let image_numbers = layer.extent.numbers() / layer.extent.images.max(1);
    for image in 0..layer.extent.images {
        for block in (0..channels).step_by(LANES) {
            let mut sums = Sums::default();
            let width = LANES.min(channels - block);
            if layer.pooled {
                add_pooled_image(&layer, image, block, width, mean, &mut sums);
            } else {
                let range = image * image_numbers..(image + 1) * image_numbers;
                add_image(&layer, range, block, width, mean, &mut sums);
            }
            for lane in 0..width {
                totals[block + lane] += sums.gradient[lane];
                totals[channels + block + lane] += sums.product[lane];
            }
            totals[2 * channels] += sums.slope.iter().sum::<f64>();
        }
    }
    totals
}

/// Running sums of one block of channels.
#[derive(Default)]
struct Sums {
    gradient: [f64; LANES],
    product: [f64; LANES],
    slope: [f64; LANES],
}

impl Sums {
    #[inline(always)]
    fn add<T: Float>(&mut self, lane: usize, point: Point<T>, mean: f64) {
        let Point { z, normalised, upstream, slope } = point;
        let positive = normalised > T::ZERO;
        let gradient = (if positive { upstream } else { slope * upstream }).to_f64();
        self.gradient[lane] += gradient;
        self.product[lane] += gradient * (z.to_f64() - mean);
        let negative_part = if positive { T::ZERO } else { normalised };
        self.slope[lane] += upstream.to_f64() * negative_part.to_f64();
    }
}

/// One number on its way back.
#[derive(Clone, Copy)]
struct Point<T> {
    z: T,
    normalised: T,
    upstream: T,
    slope: T,
}

#[inline(always)]
fn add_image<T: Float>(
    layer: &Backward<'_, T>,
    range: std::ops::Range<usize>,
    block: usize,
    width: usize,
    mean: &[f64],
    sums: &mut Sums,
) {
    let Activation { scale, shift, slope } = layer.activation;
    let channels = layer.extent.channels;
    let lanes = block..block + width;
    let (scale, shift, mean) = (&scale[lanes.clone()], &shift[lanes.clone()], &mean[lanes.clone()]);
    let rows = layer.z[range.clone()].chunks_exact(channels);
    for (z, upstream) in rows.zip(layer.upstream[range].chunks_exact(channels)) {
        let (z, upstream) = (&z[lanes.clone()], &upstream[lanes.clone()]);
        for lane in 0..width {
            let normalised = activate(z[lane], scale[lane], shift[lane], *slope).0;
            let point = Point { z: z[lane], normalised, upstream: upstream[lane], slope: *slope };
            sums.add(lane, point, mean[lane]);
        }
    }
}

#[inline(always)]
fn add_pooled_image<T: Float>(
    layer: &Backward<'_, T>,
    image: usize,
    block: usize,
    width: usize,
    mean: &[f64],
    sums: &mut Sums,
) {
    let Activation { scale, shift, slope } = layer.activation;
    let side = layer.extent.pooled_side();
    for (row, column) in (0..side * side).map(|i| (i / side, i % side)) {
        let (inputs, output) = layer.extent.window(image, row, column);
        let inputs = inputs.map(|offset| &layer.z[offset + block..offset + block + width]);
        let upstream = &layer.upstream[output + block..output + block + width];
        for lane in 0..width {
            let channel = block + lane;
            let window = inputs.map(|input| input[lane]);
            let (z, normalised) = maximum(window, scale[channel], shift[channel], *slope);
            let point = Point { z, normalised, upstream: upstream[lane], slope: *slope };
            sums.add(lane, point, mean[channel]);
        }
    }
}

/// z and u at the maximum of a window.
#[inline(always)]
fn maximum<T: Float>(window: [T; 4], scale: T, shift: T, slope: T) -> (T, T) {
    let mut best = window[0];
    let (mut normalised, mut highest) = activate(window[0], scale, shift, slope);
    for &z in &window[1..] {
        let (u, y) = activate(z, scale, shift, slope);
        let higher = exceeds(y, highest);
        highest = if higher { y } else { highest };
        normalised = if higher { u } else { normalised };
        best = if higher { z } else { best };
    }
    (best, normalised)
}

#[inline(always)]
fn apply<T: Float>(layer: Backward<'_, T>, coefficients: &InputGradient<T>, output: &mut [T]) {
    let Activation { scale, shift, slope } = layer.activation;
    let InputGradient { gradient, value, constant } = coefficients;
    let channels = layer.extent.channels;
    let rows = layer.z.chunks_exact(channels).zip(layer.upstream.chunks_exact(channels));
    for ((z, upstream), output) in rows.zip(output.chunks_exact_mut(channels)) {
        let (z, upstream, output) =
            (&z[..channels], &upstream[..channels], &mut output[..channels]);
        let (scale, shift) = (&scale[..channels], &shift[..channels]);
        let (gradient, value, constant) =
            (&gradient[..channels], &value[..channels], &constant[..channels]);
        for channel in 0..channels {
            let normalised = activate(z[channel], scale[channel], shift[channel], *slope).0;
            let flowing =
                if normalised > T::ZERO { upstream[channel] } else { *slope * upstream[channel] };
            output[channel] =
                gradient[channel] * flowing + (value[channel] * z[channel] + constant[channel]);
        }
    }
}

#[inline(always)]
fn apply_through_pool<T: Float>(
    layer: Backward<'_, T>,
    coefficients: &InputGradient<T>,
    output: &mut [T],
) {
    let extent = layer.extent;
    let (channels, side) = (extent.channels, extent.pooled_side());
    for image in 0..extent.images {
        for (row, column) in (0..side * side).map(|i| (i / side, i % side)) {
            let (inputs, upstream) = extent.window(image, row, column);
            let upstream = &layer.upstream[upstream..upstream + channels];
            apply_window(&layer, coefficients, inputs, upstream, output);
        }
        if extent.side % 2 == 1 {
            apply_outside_windows(&layer, coefficients, image, output);
        }
    }
}

#[inline(always)]
fn apply_window<T: Float>(
    layer: &Backward<'_, T>,
    coefficients: &InputGradient<T>,
    offsets: [usize; 4],
    upstream: &[T],
    output: &mut [T],
) {
    let Activation { scale, shift, slope } = layer.activation;
    let InputGradient { gradient, value, constant } = coefficients;
    let channels = layer.extent.channels;
    let inputs = offsets.map(|offset| &layer.z[offset..offset + channels]);
    let (upper, lower) =
        output[offsets[0]..offsets[3] + channels].split_at_mut(offsets[2] - offsets[0]);
    let (first, second) = upper[..2 * channels].split_at_mut(channels);
    let (third, fourth) = lower.split_at_mut(channels);
    for channel in 0..channels {
        let window = inputs.map(|input| input[channel]);
        let (scale, shift) = (scale[channel], shift[channel]);
        let mut place = 0usize;
        let (mut normalised, mut highest) = activate(window[0], scale, shift, *slope);
        for (i, &z) in window.iter().enumerate().skip(1) {
            let (u, y) = activate(z, scale, shift, *slope);
            let higher = exceeds(y, highest);
            highest = if higher { y } else { highest };
            normalised = if higher { u } else { normalised };
            place = if higher { i } else { place };
        }
        let upstream = upstream[channel];
        let flowing = if normalised > T::ZERO { upstream } else { *slope * upstream };
        let at = |i: usize| {
            let flowing = if place == i { flowing } else { T::ZERO };
            gradient[channel] * flowing + (value[channel] * window[i] + constant[channel])
        };
        first[channel] = at(0);
        second[channel] = at(1);
        third[channel] = at(2);
        fourth[channel] = at(3);
    }
}

/// The odd last row and column, which no window covers: h = 0 there.
#[inline(always)]
fn apply_outside_windows<T: Float>(
    layer: &Backward<'_, T>,
    coefficients: &InputGradient<T>,
    image: usize,
    output: &mut [T],
) {
    let InputGradient { value, constant, .. } = coefficients;
    let (side, channels) = (layer.extent.side, layer.extent.channels);
    let last = side - 1;
    let edge = (0..side).map(|i| (i, last)).chain((0..last).map(|i| (last, i)));
    for (row, column) in edge {
        let offset = ((image * side + row) * side + column) * channels;
        let z = &layer.z[offset..offset + channels];
        let output = &mut output[offset..offset + channels];
        for channel in 0..channels {
            output[channel] = value[channel] * z[channel] + constant[channel];
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
        for (side, pooled) in [(4, false), (4, true), (7, false), (7, true)] {
            let layer = layer(side);
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
