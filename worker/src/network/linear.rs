//! The linear layers of one logical shard, forward and back: the hidden ones where the network has some, each with its
//! PReLU, then `features` and `output`.
//!
//! Training and evaluation call it. Nothing here looks at the whole batch. Products are the engine's; sums over samples are
//! taken in their order in 64 bits and rounded once.

use engine::{Stored, unobserved};
use tch::Tensor;

use super::error::ComputeError;
use super::layout::HiddenEntries;
use super::prepared::Prepared;
use super::products::{Flow, Means, Product, ToInput};
use super::weights::HiddenWeights;
use crate::bridge::with_slice;
use crate::mathematics::kernels::Float;

/// What the layers leave of their way forward.
pub struct Forward<T> {
    hidden: Vec<Trace<T>>,
    /// What `features` is given, `[samples, flattened]`.
    flattened: Vec<T>,
    /// `[samples, feature_dim]`.
    pub features: Vec<T>,
    /// `[samples, classes]`.
    pub scores: Vec<T>,
}

/// What a hidden layer keeps.
struct Trace<T> {
    /// `[samples, inputs]`.
    input: Vec<T>,
    /// Before PReLU, `[samples, outputs]`.
    u: Vec<T>,
}

/// Runs the layers on `[samples, numbers]`.
///
/// # Errors
/// A parameter is not of this precision.
pub fn forward<T: Float>(
    Prepared { weights, products }: &Prepared,
    input: Vec<T>,
    means: &mut Means<'_>,
) -> Result<Forward<T>, ComputeError> {
    let mut hidden = Vec::with_capacity(products.hidden.len());
    let mut flowing = input;
    for (product, HiddenWeights { bias, slope, .. }) in products.hidden.iter().zip(&weights.hidden)
    {
        let u = product_and_bias(product, &flowing, bias, means)?;
        let slope = only::<T>(slope)?;
        let y = u.iter().map(|u| if *u > T::ZERO { *u } else { slope * *u }).collect();
        hidden.push(Trace { input: std::mem::replace(&mut flowing, y), u });
    }
    let [_, feature_bias, _, output_bias] = &weights.heads;
    let [feature, output] = &products.heads;
    let features = product_and_bias(feature, &flowing, feature_bias, means)?;
    let scores = product_and_bias(output, &features, output_bias, means)?;
    Ok(Forward { hidden, flattened: flowing, features, scores })
}

impl<T: Float> Forward<T> {
    /// Runs the layers back, given ∂L/∂score and what the center loss adds to ∂L/∂feature: writes the gradients of their
    /// parameters into the flat `gradient`. Returns that of the layers' input, unless it is the data itself.
    ///
    /// # Errors
    /// A parameter is not of this precision.
    pub fn backward(
        self,
        Prepared { weights, products }: &Prepared,
        (to_scores, center): (&[T], Option<&[T]>),
        gradient: &mut [T],
        means: &mut Means<'_>,
    ) -> Result<Option<Vec<T>>, ComputeError> {
        let layout = &weights.layout;
        let [feature, output] = &products.heads;
        let [feature_weight, feature_bias, output_weight, output_bias] = layout.heads;
        let mut back = |product: &Product,
                        (to_output, input): (&[T], &[T]),
                        (weight, bias): (usize, usize),
                        to_input: Option<&mut [T]>| {
            sum_rows(to_output, &mut gradient[layout.range(bias)]);
            let shape = product.layer.shape();
            let to_output = Stored::new(to_output, shape.outputs);
            let input = Stored::new(input, shape.inputs);
            let to_kernel = &mut gradient[layout.range(weight)];
            let to_input = to_input.map(|gradient| ToInput { gradient, observer: &unobserved });
            product.backward((&to_output, &input), to_kernel, to_input, means);
        };
        let zeros = |like: &[T]| vec![T::ZERO; like.len()];
        let mut to_features = zeros(&self.features);
        let of_scores = (to_scores, &self.features[..]);
        back(output, of_scores, (output_weight, output_bias), Some(&mut to_features[..]));
        for (to_feature, center) in to_features.iter_mut().zip(center.unwrap_or_default()) {
            *to_feature = *to_feature + *center;
        }
        let of_features = (&to_features[..], &self.flattened[..]);
        let mut upstream = zeros(&self.flattened);
        back(feature, of_features, (feature_weight, feature_bias), Some(&mut upstream[..]));
        let is_data = layout.architecture.convolutions.is_empty();
        let mut to_slopes = Vec::with_capacity(self.hidden.len());
        for (layer, Trace { input, u }) in self.hidden.into_iter().enumerate().rev() {
            let HiddenEntries { weight, bias, slope } = layout.hidden[layer];
            let value = only::<T>(&weights.hidden[layer].slope)?;
            let outputs = products.hidden[layer].layer.shape().outputs;
            to_slopes.push((slope, through_activation((&u, outputs), value, &mut upstream)));
            let is_needed = layer > 0 || !is_data;
            let mut to_input = if is_needed { zeros(&input) } else { Vec::new() };
            let wanted = is_needed.then_some(&mut to_input[..]);
            back(&products.hidden[layer], (&upstream, &input), (weight, bias), wanted);
            upstream = to_input;
        }
        for (slope, to_slope) in to_slopes {
            gradient[layout.range(slope)].fill(to_slope);
        }
        Ok((!is_data).then_some(upstream))
    }
}

/// Makes ∂L/∂y of a PReLU ∂L/∂u, both `[samples, outputs]`; ∂L/∂slope.
fn through_activation<T: Float>((u, outputs): (&[T], usize), slope: T, upstream: &mut [T]) -> T {
    // Of each output, so that neighbours are handled together.
    let mut to_slope = vec![0.0; outputs];
    for (u, upstream) in u.chunks_exact(outputs).zip(upstream.chunks_exact_mut(outputs)) {
        for ((u, gradient), to_slope) in u.iter().zip(upstream).zip(&mut to_slope) {
            let is_kept = *u > T::ZERO;
            *to_slope += if is_kept { 0.0 } else { gradient.to_f64() * u.to_f64() };
            *gradient = if is_kept { *gradient } else { slope * *gradient };
        }
    }
    T::of(to_slope.iter().sum())
}

/// input · weightᵀ + bias.
fn product_and_bias<T: Float>(
    product: &Product,
    input: &[T],
    bias: &Tensor,
    means: &mut Means<'_>,
) -> Result<Vec<T>, ComputeError> {
    let shape = product.layer.shape();
    let mut output = vec![T::ZERO; input.len() / shape.inputs * shape.outputs];
    let input = &Stored::new(input, shape.inputs);
    let flow = Flow { input, output: &mut output, observer: &unobserved };
    product.forward(flow, means);
    with_slice(bias, |bias: &[T]| {
        for row in output.chunks_exact_mut(bias.len()) {
            row.iter_mut().zip(bias).for_each(|(number, bias)| *number = *number + *bias);
        }
    })?;
    Ok(output)
}

/// The sum over samples of `[samples, numbers]`.
fn sum_rows<T: Float>(values: &[T], sums: &mut [T]) {
    let mut in_64_bits = vec![0.0; sums.len()];
    for row in values.chunks_exact(sums.len()) {
        in_64_bits.iter_mut().zip(row).for_each(|(sum, value)| *sum += value.to_f64());
    }
    sums.iter_mut().zip(in_64_bits).for_each(|(sum, value)| *sum = T::of(value));
}

/// A parameter of one number.
fn only<T: Float>(parameter: &Tensor) -> Result<T, ComputeError> {
    Ok(with_slice(parameter, |numbers: &[T]| numbers[0])?)
}
