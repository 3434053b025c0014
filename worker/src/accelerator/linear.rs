//! The linear layers of one logical shard in libtorch's operations, forward and back: the hidden ones where the network has
//! some, each with its PReLU, then `features` and `output`. Nothing here looks at the whole batch.

use tch::Tensor;

use crate::network::memory_order::channels_last;
use crate::network::{ComputeError, HiddenWeights, Weights};

/// `[images, channels, height, width]` as `[images, channels·height·width]`, the order the linear layer was given.
pub fn flatten(pooled: &Tensor) -> Result<Tensor, ComputeError> {
    Ok(pooled.f_contiguous()?.f_flatten(1, -1)?)
}

/// The gradient of what [`flatten`] made, in the shape and memory order of what it was made of.
pub fn unflatten(gradient: &Tensor, like: &Tensor) -> Result<Tensor, ComputeError> {
    channels_last(gradient.f_view(&like.size()[..])?)
}

/// What the layers leave of their way forward.
pub struct Forward {
    hidden: Vec<Trace>,
    /// What `features` is given, `[samples, flattened]`.
    flattened: Tensor,
    /// `[samples, feature_dim]`.
    pub features: Tensor,
    /// `[samples, classes]`.
    pub scores: Tensor,
}

/// What a hidden layer keeps.
struct Trace {
    /// `[samples, inputs]`.
    input: Tensor,
    /// Before PReLU, `[samples, outputs]`.
    u: Tensor,
}

/// Runs the layers on `[samples, numbers]`.
///
/// # Errors
/// What libtorch says.
pub fn forward(weights: &Weights, input: Tensor) -> Result<Forward, ComputeError> {
    let mut hidden = Vec::with_capacity(weights.hidden.len());
    let mut flowing = input;
    for HiddenWeights { weight, bias, slope } in &weights.hidden {
        let u = flowing.f_linear(weight, Some(bias))?;
        let y = u.f_internal_prelu_kernel(slope)?;
        hidden.push(Trace { input: std::mem::replace(&mut flowing, y), u });
    }
    let [feature_weight, feature_bias, output_weight, output_bias] = &weights.heads;
    let features = flowing.f_linear(feature_weight, Some(feature_bias))?;
    let scores = features.f_linear(output_weight, Some(output_bias))?;
    Ok(Forward { hidden, flattened: flowing, features, scores })
}

impl Forward {
    /// Runs the layers back, given ∂L/∂score and what the center loss adds to ∂L/∂feature: writes the gradients of their
    /// parameters into the flat `gradient`. Returns that of the layers' input, unless it is the data itself.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn backward(
        self,
        weights: &Weights,
        (to_scores, center): (&Tensor, Option<&Tensor>),
        gradient: &Tensor,
    ) -> Result<Option<Tensor>, ComputeError> {
        let layout = &weights.layout;
        let kind = to_scores.kind();
        let write = |index: usize, values: &Tensor| -> Result<(), ComputeError> {
            Ok(layout.view(gradient, index).f_copy_(values)?)
        };
        let sum_of_rows = |values: &Tensor| values.f_sum_dim_intlist(0i64, false, kind);
        let [feature_weight, _, output_weight, _] = &weights.heads;
        let mut to_features = to_scores.f_matmul(output_weight)?;
        if let Some(center) = center {
            to_features = to_features.f_add(center)?;
        }
        let heads = [
            to_features.tr().f_matmul(&self.flattened)?,
            sum_of_rows(&to_features)?,
            to_scores.tr().f_matmul(&self.features)?,
            sum_of_rows(to_scores)?,
        ];
        for (index, values) in layout.heads.into_iter().zip(&heads) {
            write(index, values)?;
        }
        let is_data = |layer: usize| layer == 0 && layout.architecture.convolutions.is_empty();
        let mut upstream = (feature_weight, to_features);
        for (layer, Trace { input, u }) in self.hidden.into_iter().enumerate().rev() {
            let to_y = upstream.1.f_matmul(upstream.0)?;
            let HiddenWeights { weight, slope, .. } = &weights.hidden[layer];
            let (to_u, to_slope) = u.f_internal_prelu_kernel_backward(&to_y, slope)?;
            let entries = layout.hidden[layer];
            write(entries.weight, &to_u.tr().f_matmul(&input)?)?;
            write(entries.bias, &sum_of_rows(&to_u)?)?;
            write(entries.slope, &to_slope.f_sum(kind)?.f_view([1])?)?;
            if is_data(layer) {
                return Ok(None);
            }
            upstream = (weight, to_u);
        }
        Ok(Some(upstream.1.f_matmul(upstream.0)?))
    }
}
