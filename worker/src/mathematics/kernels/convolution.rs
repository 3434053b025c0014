//! The convolution of one shard in float64, in a fixed order of operations. libtorch's own, which unfolds the whole batch
//! into memory, takes two to five times as long.
//!
//! A number of the output is a sum of products in the order of kernel row, kernel column and input channel, each added by
//! one fused multiply-add; vectors run across output channels and positions, so a vector's width changes no bit. Zeros
//! stand around each image, and are multiplied like any other number.

use pulp::{Arch, Simd, WithSimd};

use super::extent::Extent;

/// Output channels that are summed together: two of the widest vectors of 64-bit numbers.
const OUTPUTS: usize = 16;
/// Positions that are summed together: with [`OUTPUTS`] as many running sums as there are registers for. Divides the
/// sides of 28, 14 and 7 positions.
const POSITIONS: usize = 7;
/// Numbers of the kernel's row whose gradients are summed together.
const TAPS: usize = 8;

/// A convolution with stride 1 and as many zeros around the image as keep its side: `[images, side, side, inputs]`, by
/// a kernel `[outputs, kernel, kernel, inputs]`, to `[images, side, side, outputs]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// The input's.
    pub input: Extent,
    /// Channels of the output, a multiple of 16.
    pub outputs: usize,
    /// Height and width of the kernel, an odd number.
    pub kernel: usize,
}

impl Convolution {
    /// The output of `input`.
    pub fn forward(self, input: &[f64], kernel: &[f64], output: &mut [f64]) {
        let rearranged = self.rearranged(|tap, i, o| kernel[self.place(tap, i, o)]);
        Arch::new().dispatch(Forward { shape: self, input, kernel: &rearranged, output });
    }

    /// The gradient of the input, given that of the output: the convolution of the latter by the kernel turned round.
    pub fn backward(self, gradient: &[f64], kernel: &[f64], to_input: &mut [f64]) {
        let back = Self {
            input: Extent { channels: self.outputs, ..self.input },
            outputs: self.input.channels,
            ..self
        };
        let last = self.kernel * self.kernel - 1;
        let rearranged = back.rearranged(|tap, i, o| kernel[self.place(last - tap, o, i)]);
        let pass = Forward { shape: back, input: gradient, kernel: &rearranged, output: to_input };
        Arch::new().dispatch(pass);
    }

    /// The gradient of the kernel, given the input and the gradient of the output; image after image.
    pub fn kernel_gradient(self, input: &[f64], gradient: &[f64], to_kernel: &mut [f64]) {
        let (inputs, taps) = (self.input.channels, self.kernel * self.kernel);
        let mut sums = vec![0.0; taps * inputs * self.outputs];
        Arch::new().dispatch(KernelGradient { shape: self, input, gradient, sums: &mut sums });
        for tap in 0..taps {
            for i in 0..inputs {
                for o in 0..self.outputs {
                    to_kernel[self.place(tap, i, o)] = sums[(tap * inputs + i) * self.outputs + o];
                }
            }
        }
    }

    /// Where a kernel's number lies.
    fn place(self, tap: usize, input: usize, output: usize) -> usize {
        (output * self.kernel * self.kernel + tap) * self.input.channels + input
    }

    /// A kernel as `[block of outputs][tap][input][OUTPUTS]`, the order in which it is read.
    fn rearranged(self, number: impl Fn(usize, usize, usize) -> f64) -> Vec<f64> {
        let Self { input, outputs, kernel } = self;
        assert!(outputs.is_multiple_of(OUTPUTS), "{outputs} channels are not whole blocks");
        let mut rearranged = Vec::with_capacity(outputs * input.channels * kernel * kernel);
        for block in (0..outputs).step_by(OUTPUTS) {
            for tap in 0..kernel * kernel {
                for i in 0..input.channels {
                    rearranged.extend((block..block + OUTPUTS).map(|o| number(tap, i, o)));
                }
            }
        }
        rearranged
    }

    /// Memory for one image with zeros around it.
    fn surrounded(self) -> Vec<f64> {
        let side = self.input.side + self.kernel - 1;
        vec![0.0; side * side * self.input.channels]
    }

    /// Numbers of a line of that.
    #[inline(always)]
    fn line(self) -> usize {
        (self.input.side + self.kernel - 1) * self.input.channels
    }

    /// Copies an image into the midst of it.
    #[inline(always)]
    fn surround(self, image: &[f64], surrounded: &mut [f64]) {
        let Extent { side, channels, .. } = self.input;
        let padding = self.kernel / 2;
        for (row, numbers) in image.chunks_exact(side * channels).enumerate() {
            let start = (row + padding) * self.line() + padding * channels;
            surrounded[start..start + numbers.len()].copy_from_slice(numbers);
        }
    }
}

/// The pass from input to output; its kernel is rearranged.
struct Forward<'a> {
    shape: Convolution,
    input: &'a [f64],
    kernel: &'a [f64],
    output: &'a mut [f64],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { shape, input, kernel, output } = self;
        let Convolution { input: Extent { side, channels, .. }, outputs, kernel: width } = shape;
        let mut surrounded = shape.surrounded();
        let images = input.chunks_exact(side * side * channels);
        for (image, output) in images.zip(output.chunks_exact_mut(side * side * outputs)) {
            shape.surround(image, &mut surrounded);
            let blocks = kernel.chunks_exact(width * width * channels * OUTPUTS);
            for (kernel, block) in blocks.zip((0..outputs).step_by(OUTPUTS)) {
                for pair in (0..OUTPUTS).step_by(2 * S::F64_LANES) {
                    let weights = Weights { vectors: S::as_simd_f64s(kernel).0, pair };
                    for (row, output) in output.chunks_exact_mut(side * outputs).enumerate() {
                        let lines = &surrounded[row * shape.line()..];
                        let output = &mut output[block + pair..];
                        forward_row(simd, shape, lines, weights, output);
                    }
                }
            }
        }
    }
}

/// A block of the rearranged kernel, of which the pass takes two vectors of outputs at a time.
#[derive(Clone, Copy)]
struct Weights<'a, V> {
    vectors: &'a [V],
    /// The first of these outputs.
    pair: usize,
}

/// A row of positions; its windows begin where `lines` does.
#[inline(always)]
fn forward_row<S: Simd>(
    simd: S,
    shape: Convolution,
    lines: &[f64],
    weights: Weights<'_, S::f64s>,
    output: &mut [f64],
) {
    let Convolution { input: Extent { side, channels, .. }, outputs, .. } = shape;
    let whole = side - side % POSITIONS;
    for column in (0..whole).step_by(POSITIONS) {
        let sums = sums_at::<S, POSITIONS>(simd, shape, &lines[column * channels..], weights);
        store::<S, POSITIONS>(sums, &mut output[column * outputs..], outputs);
    }
    for column in whole..side {
        let sums = sums_at::<S, 1>(simd, shape, &lines[column * channels..], weights);
        store::<S, 1>(sums, &mut output[column * outputs..], outputs);
    }
}

// The innermost loops count by hand: an iterator's own checks, where they are compiled in, would keep the sums out of the
// registers.

/// Two vectors of outputs at `P` neighbouring positions, the first of whose windows begins where `lines` does.
#[inline(always)]
fn sums_at<S: Simd, const P: usize>(
    simd: S,
    shape: Convolution,
    lines: &[f64],
    weights: Weights<'_, S::f64s>,
) -> [[S::f64s; 2]; P] {
    let (channels, taps) = (shape.input.channels, shape.kernel * shape.input.channels);
    let stride = OUTPUTS / S::F64_LANES;
    let first = weights.pair / S::F64_LANES;
    let mut sums = [[simd.splat_f64s(0.0); 2]; P];
    for row in 0..shape.kernel {
        let line = &lines[row * shape.line()..][..taps + (P - 1) * channels];
        let weights = &weights.vectors[row * taps * stride..][..taps * stride];
        let mut tap = 0;
        while tap < taps {
            let (a, b) = (weights[tap * stride + first], weights[tap * stride + first + 1]);
            let mut p = 0;
            while p < P {
                let input = simd.splat_f64s(line[p * channels + tap]);
                sums[p][0] = simd.mul_add_f64s(input, a, sums[p][0]);
                sums[p][1] = simd.mul_add_f64s(input, b, sums[p][1]);
                p += 1;
            }
            tap += 1;
        }
    }
    sums
}

#[inline(always)]
fn store<S: Simd, const P: usize>(sums: [[S::f64s; 2]; P], output: &mut [f64], outputs: usize) {
    let mut p = 0;
    while p < P {
        let output = S::as_mut_simd_f64s(&mut output[p * outputs..][..2 * S::F64_LANES]).0;
        output[0] = sums[p][0];
        output[1] = sums[p][1];
        p += 1;
    }
}

/// The pass from input and output gradient to the kernel's, `[tap][input][output]`.
struct KernelGradient<'a> {
    shape: Convolution,
    input: &'a [f64],
    gradient: &'a [f64],
    sums: &'a mut [f64],
}

impl WithSimd for KernelGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { shape, input, gradient, sums } = self;
        let Convolution { input: Extent { side, channels, .. }, outputs, kernel } = shape;
        let mut surrounded = shape.surrounded();
        let images = input.chunks_exact(side * side * channels);
        for (image, gradient) in images.zip(gradient.chunks_exact(side * side * outputs)) {
            shape.surround(image, &mut surrounded);
            let row = kernel * channels;
            for (kernel_row, sums) in sums.chunks_exact_mut(row * outputs).enumerate() {
                let lines = &surrounded[kernel_row * shape.line()..];
                for pair in (0..outputs).step_by(2 * S::F64_LANES) {
                    let gradient = &gradient[pair..];
                    let whole = row - row % TAPS;
                    for tap in (0..whole).step_by(TAPS) {
                        let sums = &mut sums[tap * outputs + pair..];
                        add_products::<S, TAPS>(simd, shape, &lines[tap..], gradient, sums);
                    }
                    for tap in whole..row {
                        let sums = &mut sums[tap * outputs + pair..];
                        add_products::<S, 1>(simd, shape, &lines[tap..], gradient, sums);
                    }
                }
            }
        }
    }
}

/// Adds an image's products of `C` neighbouring inputs with two vectors of outputs' gradients, over all positions.
#[inline(always)]
fn add_products<S: Simd, const C: usize>(
    simd: S,
    shape: Convolution,
    lines: &[f64],
    gradient: &[f64],
    sums: &mut [f64],
) {
    let Convolution { input: Extent { side, channels, .. }, outputs, .. } = shape;
    let mut products = [[simd.splat_f64s(0.0); 2]; C];
    for row in 0..side {
        let line = &lines[row * shape.line()..];
        let gradient = &gradient[row * side * outputs..];
        let mut column = 0;
        while column < side {
            let input = &line[column * channels..][..C];
            let gradient = S::as_simd_f64s(&gradient[column * outputs..][..2 * S::F64_LANES]).0;
            let (a, b) = (gradient[0], gradient[1]);
            let mut c = 0;
            while c < C {
                let input = simd.splat_f64s(input[c]);
                products[c][0] = simd.mul_add_f64s(input, a, products[c][0]);
                products[c][1] = simd.mul_add_f64s(input, b, products[c][1]);
                c += 1;
            }
            column += 1;
        }
    }
    let mut c = 0;
    while c < C {
        let sums = S::as_mut_simd_f64s(&mut sums[c * outputs..][..2 * S::F64_LANES]).0;
        sums[0] = simd.add_f64s(sums[0], products[c][0]);
        sums[1] = simd.add_f64s(sums[1], products[c][1]);
        c += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers without a pattern that a mistake could share.
    fn numbers(count: usize, seed: u64) -> Vec<f64> {
        let number = |i: u64| (i + seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        (0..count as u64).map(|i| number(i) as f64 / 1e7 - 0.8).collect()
    }

    /// Calls `product` with the place of an input, of a kernel's number and of an output that they contribute to.
    fn each_product(shape: Convolution, mut product: impl FnMut(usize, usize, usize)) {
        let Convolution { input: Extent { images, side, channels }, outputs, kernel } = shape;
        for image in 0..images {
            for position in 0..side * side {
                for tap in 0..kernel * kernel {
                    let row = (position / side + tap / kernel).wrapping_sub(kernel / 2);
                    let column = (position % side + tap % kernel).wrapping_sub(kernel / 2);
                    if row >= side || column >= side {
                        continue;
                    }
                    let input = ((image * side + row) * side + column) * channels;
                    let output = (image * side * side + position) * outputs;
                    for i in 0..channels {
                        for o in 0..outputs {
                            product(input + i, shape.place(tap, i, o), output + o);
                        }
                    }
                }
            }
        }
    }

    fn check_close(found: &[f64], expected: &[f64], what: &str) {
        let largest = expected.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-13 * largest, "{what}: {found} {expected}");
        }
    }

    #[test]
    fn the_three_passes_are_those_of_the_definition() {
        for (images, side, channels, outputs, kernel) in [
            (2, 28, 1, 32, 5),
            (1, 14, 16, 32, 5),
            (2, 7, 32, 16, 5),
            (3, 9, 16, 16, 3),
            (1, 1, 16, 16, 1),
        ] {
            let shape = Convolution { input: Extent { images, side, channels }, outputs, kernel };
            let input = numbers(shape.input.numbers(), 1);
            let weights = numbers(outputs * channels * kernel * kernel, 2);
            let upstream = numbers(images * side * side * outputs, 3);
            let mut expected =
                [vec![0.0; upstream.len()], vec![0.0; input.len()], vec![0.0; weights.len()]];
            let [output, to_input, to_kernel] = &mut expected;
            each_product(shape, |i, k, o| {
                output[o] += input[i] * weights[k];
                to_input[i] += upstream[o] * weights[k];
                to_kernel[k] += upstream[o] * input[i];
            });
            let mut found = expected.clone().map(|numbers| vec![f64::NAN; numbers.len()]);
            shape.forward(&input, &weights, &mut found[0]);
            if channels.is_multiple_of(OUTPUTS) {
                shape.backward(&upstream, &weights, &mut found[1]);
            } else {
                found[1].clone_from(&expected[1]);
            }
            shape.kernel_gradient(&input, &upstream, &mut found[2]);
            for (index, what) in
                ["output", "input's gradient", "kernel's gradient"].iter().enumerate()
            {
                check_close(&found[index], &expected[index], &format!("{what} of {shape:?}"));
            }
        }
    }

    /// An image's numbers do not depend on which others are computed with it.
    #[test]
    fn images_alone_have_the_same_bits() {
        let shape = Convolution {
            input: Extent { images: 3, side: 14, channels: 16 },
            outputs: 16,
            kernel: 5,
        };
        let one = Convolution { input: Extent { images: 1, ..shape.input }, ..shape };
        let (input, weights) = (numbers(shape.input.numbers(), 4), numbers(16 * 16 * 25, 5));
        let mut together = vec![0.0; input.len()];
        shape.forward(&input, &weights, &mut together);
        let mut alone = vec![0.0; one.input.numbers()];
        let last = input.len() - alone.len();
        one.forward(&input[last..], &weights, &mut alone);
        assert_eq!(alone, together[last..]);
    }
}
