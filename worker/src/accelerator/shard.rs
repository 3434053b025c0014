//! One logical shard's part of one global batch as a device computes it: `crate::network::shard` in libtorch's own
//! kernels, without waiting for a number.
//!
//! Every kernel sees this shard's samples and the parameters, so what it computes does not depend on who computes it. A
//! shard without samples contributes zeros.

use std::sync::Arc;

use common::architecture::{ConvolutionLayer, PADDING};
use common::data_shape::DataShape;
use tch::{Device, Kind, Tensor};

use super::linear::{self, flatten, unflatten};
use super::losses::{self, HeadPart, LossContext};
use super::norm::{Activation, InputGradient, per_channel};
use super::whole_batch::TermPart;
use crate::bridge::{self, convolution_backward};
use crate::network::layout::Layout;
use crate::network::{ComputeError, Weights};

/// Height and width, the dimensions besides channels that a layer's sums run over.
const POSITIONS: [i64; 3] = [0, 2, 3];
/// Side and stride of a pool's windows.
const WINDOW: [i64; 2] = [2, 2];

/// One logical shard.
pub struct Shard {
    shapes: Arc<[ConvolutionLayer]>,
    /// Of the data.
    shape: DataShape,
    samples: usize,
    /// One a sample, 64-bit integers.
    labels: Tensor,
    layers: Vec<Trace>,
    /// Activation on its way forward, or gradient on its way back.
    flowing: Tensor,
    /// What the linear layers have left of their way forward.
    head: Option<linear::Forward>,
    /// The bucketed part of the flat gradient.
    gradient: Tensor,
}

/// What a layer keeps of its forward pass.
struct Trace {
    input: Tensor,
    z: Tensor,
    u: Tensor,
    /// PReLU's output and the places of its maxima, where a pool follows.
    pool: Option<(Tensor, Tensor)>,
}

impl Shard {
    /// A shard without samples for the network of `layout`, whose gradient is one of `options`.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn new(layout: &Layout, options: (Kind, Device)) -> Result<Self, ComputeError> {
        Ok(Self {
            shapes: Arc::clone(&layout.architecture.convolutions),
            shape: layout.architecture.data,
            samples: 0,
            labels: Tensor::new(),
            layers: Vec::new(),
            flowing: Tensor::new(),
            head: None,
            gradient: Tensor::f_zeros([layout.bucketed() as i64], options)?,
        })
    }

    /// Takes this step's samples: pixels `[samples, height·width·channels]` as bytes, translated by
    /// `table` `[channels·256]`, and labels.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn load(
        &mut self,
        pixels: &Tensor,
        labels: Tensor,
        table: &Tensor,
    ) -> Result<(), ComputeError> {
        self.samples = labels.size()[0] as usize;
        self.labels = labels;
        self.layers.clear();
        if self.samples == 0 {
            let _ = self.gradient.f_zero_()?;
            return Ok(());
        }
        self.flowing = images(pixels, self.shape, table)?;
        Ok(())
    }

    /// Samples of this shard.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Their labels.
    pub fn labels(&self) -> &Tensor {
        &self.labels
    }

    /// The bucketed part of the flat gradient, complete once every layer ran backward.
    pub fn gradient(&self) -> &Tensor {
        &self.gradient
    }

    /// Runs a layer's convolution; `[Σz…, Σz²…]` of its output, in 64 bits.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn convolve(&mut self, layer: usize, weights: &Weights) -> Result<Tensor, ComputeError> {
        let channels = self.shapes[layer].outputs as i64;
        if self.samples == 0 {
            return self.zeros(2 * channels);
        }
        let kernel = &weights.convolutions[layer];
        let input = self.flowing.f_to_kind(kernel.kind())?;
        let z = convolution(&input, kernel, self.gradient.kind())?;
        let positions = (self.samples * self.shapes[layer].positions()) as f64;
        // Σz² out of the variance: in 32 bits the sum of squares itself would lose what the mean takes away again.
        let (variance, mean) = z.f_var_mean_correction(&POSITIONS[..], 0, false)?;
        let (variance, mean) = (variance.f_to_kind(Kind::Double)?, mean.f_to_kind(Kind::Double)?);
        let squares = variance.f_add(&mean.f_square()?)?;
        let sums = Tensor::f_cat(&[mean, squares], 0)?.f_mul_scalar(positions)?;
        let u = Tensor::new();
        self.layers.push(Trace { input, z, u, pool: None });
        Ok(sums)
    }

    /// Runs a layer's BatchNorm, PReLU and pool.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn activate(&mut self, layer: usize, activation: &Activation) -> Result<(), ComputeError> {
        if self.samples == 0 {
            return Ok(());
        }
        let trace = &mut self.layers[layer];
        let (u, y) = normalise_and_activate(&trace.z, activation)?;
        trace.u = u;
        self.flowing = if self.shapes[layer].pooled {
            let (pooled, places) = pool(&y)?;
            trace.pool = Some((y, places));
            pooled
        } else {
            y
        };
        Ok(())
    }

    /// Runs the linear layers forward; features `[samples, feature_dim]`, in 64 bits.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn head_forward(&mut self, weights: &Weights, dim: i64) -> Result<Tensor, ComputeError> {
        if self.samples == 0 {
            return Ok(self.zeros(0)?.f_view([0, dim])?);
        }
        let forward = linear::forward(weights, flatten(&self.flowing)?)?;
        let features = forward.features.f_to_kind(Kind::Double)?;
        self.head = Some(forward);
        Ok(features)
    }

    /// Runs the losses, and the linear layers backward, after [`Shard::head_forward`], which made these features.
    ///
    /// # Errors
    /// What libtorch says.
    ///
    /// # Panics
    /// The linear layers have not run forward.
    pub fn head_backward(
        &mut self,
        features: &Tensor,
        weights: &Weights,
        (context, terms): (&LossContext, TermPart),
    ) -> Result<HeadPart, ComputeError> {
        if self.samples == 0 {
            return HeadPart::empty(context);
        }
        let forward = self.head.take().expect("the linear layers have run forward");
        let losses::Part { head, score_gradient, feature_gradient } =
            losses::part(features, &forward.scores, &self.labels, (context, terms))?;
        let kind = self.gradient.kind();
        let to_scores = score_gradient.f_to_kind(kind)?;
        let to_features = feature_gradient.map(|gradient| gradient.f_to_kind(kind)).transpose()?;
        let to_input =
            forward.backward(weights, (&to_scores, to_features.as_ref()), &self.gradient)?;
        self.flowing = match to_input {
            Some(gradient) => unflatten(&gradient, &self.flowing)?,
            None => Tensor::new(),
        };
        Ok(head)
    }

    /// Adds to ∂L/∂`output.weight`, after [`Shard::head_backward`].
    ///
    /// # Errors
    /// What libtorch says.
    pub fn add_to_output(&self, weights: &Weights, gradient: &Tensor) -> Result<(), ComputeError> {
        let mut to_output = weights.layout.view(&self.gradient, weights.layout.heads[2]);
        let _ = to_output.f_add_(&gradient.f_to_kind(self.gradient.kind())?)?;
        Ok(())
    }

    /// A layer's backward sums, `[Σh…, Σh·(z − mean)…, slope]` in 64 bits, of the gradient that has reached its output,
    /// which becomes h.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn sum_gradients(
        &mut self,
        layer: usize,
        activation: &Activation,
        mean: &Tensor,
    ) -> Result<Tensor, ComputeError> {
        let channels = self.shapes[layer].outputs as i64;
        if self.samples == 0 {
            return self.zeros(2 * channels + 1);
        }
        let kind = self.gradient.kind();
        let trace = &self.layers[layer];
        let upstream = match &trace.pool {
            // Windows do not overlap, so every place gets one contribution at most and no order matters.
            Some((y, places)) => y.f_max_pool2d_with_indices_backward(
                &self.flowing,
                WINDOW,
                WINDOW,
                [0, 0],
                [1, 1],
                false,
                places,
            )?,
            None => self.flowing.shallow_clone(),
        };
        let (h, to_slope) =
            trace.u.f_internal_prelu_kernel_backward(&upstream, &activation.slope)?;
        let centered = trace.z.f_sub(&per_channel(mean, kind)?)?;
        let sum = |tensor: &Tensor| tensor.f_sum_dim_intlist(&POSITIONS[..], false, kind);
        let sums = [sum(&h)?, sum(&h.f_mul(&centered)?)?, to_slope.f_sum(kind)?.f_view([1])?];
        self.flowing = h;
        Ok(Tensor::f_cat(&sums, 0)?.f_to_kind(Kind::Double)?)
    }

    /// Runs a layer backward, given the coefficients made of the reduced sums: its kernel's gradient is complete, the
    /// gradient that flows on is that of the layer's input.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn backward(
        &mut self,
        layer: usize,
        weights: &Weights,
        coefficients: &InputGradient,
    ) -> Result<(), ComputeError> {
        if self.samples == 0 {
            return Ok(());
        }
        let Trace { input, z, .. } =
            self.layers.pop().expect("every layer that ran forward left a trace");
        let InputGradient { gradient, value, constant } = coefficients;
        let to_z = constant.f_addcmul(&z, value)?.f_addcmul(&self.flowing, gradient)?;
        let kernel = &weights.convolutions[layer];
        let need = match layer {
            0 => bridge::InputGradient::Skipped,
            _ => bridge::InputGradient::Needed,
        };
        let to_z = to_z.f_to_kind(kernel.kind())?;
        let (flowing, to_kernel) =
            convolution_backward(&to_z, &input, kernel, PADDING as i64, need)?;
        let place = weights.layout.convolutions[layer];
        weights.layout.view(&self.gradient, place).f_copy_(&to_kernel)?;
        self.flowing = match flowing {
            Some(flowing) => flowing.f_to_kind(self.gradient.kind())?,
            None => Tensor::new(),
        };
        Ok(())
    }

    fn zeros(&self, numbers: i64) -> Result<Tensor, ComputeError> {
        Ok(Tensor::f_zeros([numbers], (Kind::Double, self.gradient.device()))?)
    }
}

/// Bytes `[samples, height·width·channels]` as the network's input `[samples, channels, height, width]`, with channels as the
/// fastest dimension in memory.
pub fn images(pixels: &Tensor, shape: DataShape, table: &Tensor) -> Result<Tensor, ComputeError> {
    let [channels, height, width] = [shape.channels, shape.height, shape.width].map(|it| it as i64);
    let mut places = pixels.f_reshape([-1, channels])?.f_to_kind(Kind::Int)?;
    if channels > 1 {
        // Each channel has a table of its own.
        let tables = Tensor::f_arange(channels, (Kind::Int, pixels.device()))?;
        places = places.f_add(&tables.f_mul_scalar(256)?)?;
    }
    let numbers = table.f_index_select(0, &places.f_view([-1])?)?;
    Ok(numbers.f_view([-1, height, width, channels])?.f_permute([0, 3, 1, 2])?)
}

/// A layer's convolution of an input in the kernel's numbers; its output in numbers of `kind`.
pub fn convolution(input: &Tensor, kernel: &Tensor, kind: Kind) -> Result<Tensor, ComputeError> {
    let padding = [PADDING as i64; 2];
    let output = input.f_conv2d(kernel, None::<Tensor>, [1, 1], padding, [1, 1], 1)?;
    Ok(output.f_to_kind(kind)?)
}

/// u = BatchNorm(z) and y = PReLU(u).
fn normalise_and_activate(
    z: &Tensor,
    activation: &Activation,
) -> Result<(Tensor, Tensor), ComputeError> {
    let u = activation.shift.f_addcmul(z, &activation.scale)?;
    let y = u.f_internal_prelu_kernel(&activation.slope)?;
    Ok((u, y))
}

fn pool(y: &Tensor) -> Result<(Tensor, Tensor), ComputeError> {
    Ok(y.f_max_pool2d_with_indices(WINDOW, WINDOW, [0, 0], [1, 1], false)?)
}

/// A layer as evaluation applies it.
pub fn evaluated(
    layer: ConvolutionLayer,
    z: &Tensor,
    activation: &Activation,
) -> Result<Tensor, ComputeError> {
    let (_, y) = normalise_and_activate(z, activation)?;
    Ok(if layer.pooled { pool(&y)?.0 } else { y })
}
