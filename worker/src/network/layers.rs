//! The convolutional layers as training and evaluation compute them alike, on the samples of one logical shard.
//!
//! Memory is `[images, height, width, channels]`, the order that the passes take and the convolutions are fastest with.

use std::sync::Arc;

use common::architecture::{Architecture, ConvolutionLayer};
use common::data_shape::DataShape;
use engine::{Images, Stored};
use tch::Tensor;

use super::error::ComputeError;
use super::flow::{Activated, Input};
use super::prepared::Prepared;
use super::products::{Flow, Means, ToInput};
use super::rounded;
use crate::bridge::with_slice_mut;
use crate::mathematics::kernels::{Activation, Float};

/// Numbers of memory that is used again, whatever it holds.
pub fn sized<T: Float>(memory: &mut Vec<T>, numbers: usize) -> &mut [T] {
    if memory.len() < numbers {
        memory.resize(numbers, T::ZERO);
    }
    &mut memory[..numbers]
}

/// The convolutions' outputs of so many images, each layer's in memory of its own.
#[derive(Debug)]
pub struct Outputs<T> {
    layers: Arc<[ConvolutionLayer]>,
    /// Numbers of an image of the data.
    pixels: usize,
    images: usize,
    outputs: Vec<Vec<T>>,
}

impl<T: Float> Outputs<T> {
    /// Of no image yet.
    pub fn new(architecture: &Architecture) -> Self {
        let layers = Arc::clone(&architecture.convolutions);
        let outputs = vec![Vec::new(); layers.len()];
        Self { layers, pixels: architecture.data.numbers(), images: 0, outputs }
    }

    /// Becomes those of other images.
    pub fn begin(&mut self, images: usize) {
        self.images = images;
    }

    /// The output of a layer's convolution.
    pub fn of(&mut self, layer: usize) -> &mut [T] {
        let numbers = self.images * self.layers[layer].output_numbers();
        sized(&mut self.outputs[layer], numbers)
    }

    /// What layer `layer` is given, and memory for the output of its convolution.
    pub fn around<'a>(
        &'a mut self,
        layer: usize,
        data: &'a [T],
        activations: &'a [Activation<T>],
    ) -> (Input<'a, T>, &'a mut [T]) {
        let numbers = self.images * self.layers[layer].output_numbers();
        let (before, at) = self.outputs.split_at_mut(layer);
        let sizes = (self.pixels, self.images);
        let input = input(&self.layers, sizes, data, before, activations);
        (input, sized(&mut at[0], numbers))
    }

    /// What layer `layer` is given.
    pub fn input<'a>(
        &'a self,
        layer: usize,
        data: &'a [T],
        activations: &'a [Activation<T>],
    ) -> Input<'a, T> {
        let sizes = (self.pixels, self.images);
        input(&self.layers, sizes, data, &self.outputs[..layer], activations)
    }

    /// The result of layer `layer`.
    pub fn result<'a>(&'a self, layer: usize, activation: &'a Activation<T>) -> Activated<'a, T> {
        result(self.layers[layer], self.images, &self.outputs[layer], activation)
    }
}

/// What follows the layers with these outputs is given.
fn input<'a, T: Float>(
    layers: &[ConvolutionLayer],
    (pixels, images): (usize, usize),
    data: &'a [T],
    outputs: &'a [Vec<T>],
    activations: &'a [Activation<T>],
) -> Input<'a, T> {
    match outputs.split_last() {
        None => Input::Data(Stored::new(data, pixels)),
        Some((z, before)) => {
            let layer = before.len();
            Input::Result(result(layers[layer], images, z, &activations[layer]))
        }
    }
}

fn result<'a, T: Float>(
    layer: ConvolutionLayer,
    images: usize,
    z: &'a [T],
    activation: &'a Activation<T>,
) -> Activated<'a, T> {
    Activated { layer, z: &z[..images * layer.output_numbers()], activation }
}

/// A layer's convolution.
///
/// # Errors
/// What libtorch says, where it convolves.
pub fn convolution<T: Float>(
    flow: Flow<'_, T>,
    layer: usize,
    Prepared { weights, products }: &Prepared,
    means: &mut Means<'_>,
) -> Result<(), ComputeError> {
    match products.convolutions.get(layer) {
        Some(product) => product.forward(flow, means),
        None => rounded::forward(flow, layer, weights)?,
    }
    Ok(())
}

/// The gradients of [`convolution`], given its output's and its input: the kernel's is written into the flat
/// `to_parameters`.
///
/// # Errors
/// What libtorch says, where it convolves.
pub fn convolution_backward<T: Float>(
    flow: (&dyn Images<T>, &dyn Images<T>),
    layer: usize,
    Prepared { weights, products }: &Prepared,
    to_parameters: &Tensor,
    to_input: Option<ToInput<'_, T>>,
    means: &mut Means<'_>,
) -> Result<(), ComputeError> {
    let kernel = weights.layout.range(weights.layout.convolutions[layer]);
    // Other parts of it may be on their way to peers.
    let mut to_kernel = to_parameters.f_narrow(0, kernel.start as i64, kernel.len() as i64)?;
    with_slice_mut(&mut to_kernel, |to_kernel: &mut [T]| {
        match products.convolutions.get(layer) {
            Some(product) => product.backward(flow, to_kernel, to_input, means),
            None => rounded::backward(flow, layer, weights, to_kernel, to_input)?,
        }
        Ok(())
    })?
}

/// The result of the last layer in the order that the linear layers were given, `[images, channels, height, width]`.
pub fn flatten<T: Float>(result: &Activated<'_, T>) -> Vec<T> {
    let (numbers, channels) = (result.numbers(), result.layer.outputs);
    let mut room = vec![T::ZERO; numbers];
    let mut flattened = vec![T::ZERO; result.count() * numbers];
    for (image, to) in flattened.chunks_exact_mut(numbers).enumerate() {
        transpose(result.image(image, &mut room), channels, to);
    }
    flattened
}

/// The data in the order that the linear layers are given, `[images, channels, height, width]`.
pub fn flatten_data<T: Float>(
    data: &[T],
    DataShape { channels, height, width, .. }: DataShape,
) -> Vec<T> {
    if channels == 1 {
        return data.to_vec();
    }
    let mut flattened = vec![T::ZERO; data.len()];
    let numbers = channels * height * width;
    for (image, to) in data.chunks_exact(numbers).zip(flattened.chunks_exact_mut(numbers)) {
        transpose(image, channels, to);
    }
    flattened
}

/// The gradient of what [`flatten`] made, in the order of what it was made of.
pub fn unflatten<T: Float>(gradient: &[T], layer: ConvolutionLayer, to: &mut [T]) {
    let (positions, numbers) = (layer.result_positions(), layer.result_numbers());
    for (from, to) in gradient.chunks_exact(numbers).zip(to.chunks_exact_mut(numbers)) {
        transpose(from, positions, to);
    }
}

/// The columns of a matrix with rows of `width` numbers, one after the other.
fn transpose<T: Float>(matrix: &[T], width: usize, to: &mut [T]) {
    let height = matrix.len() / width;
    for (column, to) in to.chunks_exact_mut(height).enumerate() {
        let numbers = matrix.iter().skip(column).step_by(width);
        to.iter_mut().zip(numbers).for_each(|(to, number)| *to = *number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flattening_can_be_undone() {
        let (index, inputs, outputs, pooled) = (0, 1, 8, true);
        let layer = ConvolutionLayer { index, inputs, outputs, height: 5, width: 5, pooled };
        let z: Vec<f64> = (0..3 * 25 * 8).map(f64::from).collect();
        let activation = Activation { scale: vec![1.0; 8], shift: vec![0.0; 8], slope: 0.25 };
        let result = Activated { layer, z: &z, activation: &activation };
        let flattened = flatten(&result);
        // Channel 0 of the four windows' last positions, then channel 1 of the first.
        assert_eq!(flattened[..5], [48.0, 64.0, 128.0, 144.0, 49.0]);
        let mut back = vec![0.0; flattened.len()];
        unflatten(&flattened, layer, &mut back);
        let mut room = vec![0.0; result.numbers()];
        for (image, back) in back.chunks_exact(result.numbers()).enumerate() {
            assert_eq!(result.image(image, &mut room), back);
        }
    }
}
