//! The parameters of the flat vector, as the passes of a step take them.

use std::sync::Arc;

use tch::{Kind, Tensor};

use super::error::ComputeError;
use super::layout::{HiddenEntries, Layout};
use crate::bridge::with_slice;
use crate::mathematics::batch_norm::NormParameters;
use crate::mathematics::kernels::{Float, in_64_bits};

/// The parameters as kernels take them.
#[derive(Debug)]
pub struct Weights {
    /// Where each parameter lies.
    pub layout: Arc<Layout>,
    /// The numbers that convolutions multiply.
    pub products: Kind,
    /// Each layer's convolution kernel, `[outputs, inputs, 5, 5]`, in these numbers.
    pub convolutions: Vec<Tensor>,
    /// Each hidden layer's parameters.
    pub hidden: Vec<HiddenWeights>,
    /// `features.weight`, `features.bias`, `output.weight`, `output.bias`.
    pub heads: [Tensor; 4],
}

impl Weights {
    /// Views of `flat`, which follow its changes; but kernels of another kind than `flat` are copies.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn of(layout: &Arc<Layout>, flat: &Tensor, products: Kind) -> Result<Self, ComputeError> {
        let kernel = |index: &usize| Ok(layout.view(flat, *index).f_to_kind(products)?);
        Ok(Self {
            layout: Arc::clone(layout),
            products,
            convolutions: layout
                .convolutions
                .iter()
                .map(kernel)
                .collect::<Result<_, ComputeError>>()?,
            hidden: (layout.hidden.iter())
                .map(|entries| HiddenWeights::of(layout, flat, entries))
                .collect(),
            heads: layout.heads.map(|index| layout.view(flat, index)),
        })
    }
}

/// One hidden layer's parameters.
#[derive(Debug)]
pub struct HiddenWeights {
    /// `[outputs, inputs]`.
    pub weight: Tensor,
    /// `[outputs]`.
    pub bias: Tensor,
    /// PReLU's one slope, `[1]`.
    pub slope: Tensor,
}

impl HiddenWeights {
    /// Views of `flat`.
    pub fn of(layout: &Layout, flat: &Tensor, entries: &HiddenEntries) -> Self {
        let view = |index| layout.view(flat, index);
        let HiddenEntries { weight, bias, slope } = *entries;
        Self { weight: view(weight), bias: view(bias), slope: view(slope) }
    }
}

/// The parameters behind each convolution, read out of the flat vector.
///
/// # Errors
/// The vector is not one of this precision on the CPU.
pub fn norm_parameters<T: Float>(
    layout: &Layout,
    flat: &Tensor,
) -> Result<Vec<NormParameters>, ComputeError> {
    let read = |index: usize| with_slice(&layout.view(flat, index), in_64_bits::<T>);
    (layout.norms.iter())
        .map(|norm| {
            Ok(NormParameters {
                weight: read(norm.weight)?,
                bias: read(norm.bias)?,
                slope: read(norm.slope)?[0],
            })
        })
        .collect()
}
