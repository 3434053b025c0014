//! BatchNorm, PReLU and max-pool of a convolution's output in one pass.

use pulp::Arch;

use super::blocks::{Block, block, block_mut, blocks, each};
use super::extent::{Extent, exceeds};
use super::float::Float;

/// BatchNorm and PReLU of one layer as the passes apply them: `u = scale·z + shift`, `y = u if u > 0 else slope·u`.
#[derive(Clone, Debug)]
pub struct Activation<T> {
    /// γ / √(σ² + ε), per channel.
    pub scale: Vec<T>,
    /// β − μ·scale, per channel.
    pub shift: Vec<T>,
    /// PReLU's one slope.
    pub slope: T,
}

/// `y = PReLU(BatchNorm(z))`, both `[rows, channels]`.
pub fn normalise_and_activate<T: Float>(z: &[T], activation: &Activation<T>, y: &mut [T]) {
    Arch::new().dispatch(
        #[inline(always)]
        || elementwise(z, activation, y),
    );
}

#[inline(always)]
fn elementwise<T: Float>(z: &[T], activation: &Activation<T>, y: &mut [T]) {
    let channels = activation.scale.len();
    for (z, y) in z.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
        for start in blocks(channels) {
            let activation = activation.block(start);
            let normalised = activation.normalise(block(z, start));
            *block_mut(y, start) = activation.activate(&normalised);
        }
    }
}

/// `y = maxpool(PReLU(BatchNorm(z)))` over 2 × 2 windows of an image: `z` `[height, width, channels]`, `y`
/// `[height / 2, width / 2, channels]`.
pub fn normalise_activate_and_pool<T: Float>(
    z: &[T],
    extent: Extent,
    activation: &Activation<T>,
    y: &mut [T],
) {
    Arch::new().dispatch(
        #[inline(always)]
        || pool(z, extent, activation, y),
    );
}

#[inline(always)]
fn pool<T: Float>(z: &[T], extent: Extent, activation: &Activation<T>, y: &mut [T]) {
    for window in extent.windows() {
        for start in blocks(extent.channels) {
            let activation = activation.block(start);
            let at = |input: usize| {
                activation.activate(&activation.normalise(block(z, window.inputs[input] + start)))
            };
            let mut maximum = at(0);
            for input in 1..window.inputs.len() {
                let value = at(input);
                maximum = each(|lane| {
                    if exceeds(value[lane], maximum[lane]) { value[lane] } else { maximum[lane] }
                });
            }
            *block_mut(y, window.output + start) = maximum;
        }
    }
}

/// An [`Activation`]'s block of channels.
#[derive(Clone, Copy)]
pub(super) struct ActivationBlock<T> {
    pub(super) scale: Block<T>,
    pub(super) shift: Block<T>,
    pub(super) slope: T,
}

impl<T: Float> Activation<T> {
    #[inline(always)]
    pub(super) fn block(&self, start: usize) -> ActivationBlock<T> {
        let (scale, shift) = (*block(&self.scale, start), *block(&self.shift, start));
        ActivationBlock { scale, shift, slope: self.slope }
    }
}

impl<T: Float> ActivationBlock<T> {
    /// u = BatchNorm(z).
    #[inline(always)]
    pub(super) fn normalise(&self, z: &Block<T>) -> Block<T> {
        each(|lane| self.scale[lane] * z[lane] + self.shift[lane])
    }

    /// y = PReLU(u).
    #[inline(always)]
    pub(super) fn activate(&self, u: &Block<T>) -> Block<T> {
        each(|lane| if u[lane] > T::ZERO { u[lane] } else { self.slope * u[lane] })
    }

    /// ∂L/∂u of an upstream gradient ∂L/∂y.
    #[inline(always)]
    pub(super) fn backward(&self, u: &Block<T>, upstream: &Block<T>) -> Block<T> {
        each(|lane| if u[lane] > T::ZERO { upstream[lane] } else { self.slope * upstream[lane] })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests_support::{layer, reference};
    use super::*;

    #[test]
    fn equals_the_plain_composition() {
        for sides in [(4, 4), (7, 7), (4, 7), (5, 2), (2, 3)] {
            let layer = layer(sides);
            let expected = reference(&layer);
            let mut y = vec![0.0; layer.z.len()];
            normalise_and_activate(&layer.z, &layer.activation, &mut y);
            assert_eq!(y, expected.activated);
            let mut pooled = vec![0.0; expected.pooled.len()];
            normalise_activate_and_pool(&layer.z, layer.extent, &layer.activation, &mut pooled);
            assert_eq!(pooled, expected.pooled);
        }
    }

    #[test]
    fn a_nan_is_not_lost_in_a_pool() {
        let mut layer = layer((4, 4));
        layer.z[layer.extent.channels] = f64::NAN;
        let mut pooled = vec![0.0; 4 * layer.extent.channels];
        normalise_activate_and_pool(&layer.z, layer.extent, &layer.activation, &mut pooled);
        assert!(pooled[0].is_nan());
    }
}
