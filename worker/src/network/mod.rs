//! The network: what one logical shard computes, and how the shards meet at every reduction.
//!
//! - [`layout`]: all parameters in one flat vector;
//! - [`initial`]: their values before training;
//! - [`layers`]: the convolutional layers as training and evaluation share them;
//! - [`linear`]: the linear ones, forward and back;
//! - [`shard`]: one logical shard's part of a batch, forward and backward;
//! - [`pass`]: all owned shards through the network, reduction by reduction.

pub mod initial;
pub mod layers;
pub mod layout;
pub mod linear;
pub mod pass;
pub mod shard;

use std::sync::Arc;
use std::time::Duration;

use tch::{Kind, Tensor};

use crate::bridge::BridgeError;
use crate::collective::CollectiveError;
use crate::mathematics::batch_norm::NormParameters;
use crate::mathematics::kernels::Float;
use layout::Layout;
use linear::HiddenWeights;

/// Why a computation failed.
#[derive(Debug, thiserror::Error)]
pub enum ComputeError {
    /// libtorch refused or ran out of memory.
    #[error("libtorch failed: {0}")]
    Torch(#[from] tch::TchError),
    /// A tensor could not cross to C++ or to a slice.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// A reduction failed.
    #[error(transparent)]
    Collective(#[from] CollectiveError),
    /// A device does not get past what it was asked for, though no exchange is waited for any more.
    #[error(
        "the device was not done with its work within {after:?}: it hangs; `nvidia-smi` and the system's log (Xid) tell \
         more"
    )]
    DeviceHangs {
        /// How long was waited for it.
        after: Duration,
    },
    /// `--cuda-graph on` with exchanges that no graph can hold.
    #[error(
        "--cuda-graph on: this generation's exchanges go through the CPU's memory, which no graph can hold; use \
         --cuda-graph auto, or exchange through NCCL"
    )]
    ExchangesCannotBeRecorded,
}

/// The parameters as kernels take them.
#[derive(Debug)]
pub struct Weights {
    /// Where each parameter lies.
    pub layout: Arc<Layout>,
    /// Each layer's convolution kernel, `[outputs, inputs, 5, 5]`, in the numbers that convolutions multiply.
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

/// The parameters behind each convolution, read out of the flat vector.
///
/// # Errors
/// The vector is not one of this precision on the CPU.
pub fn norm_parameters<T: Float>(
    layout: &Layout,
    flat: &Tensor,
) -> Result<Vec<NormParameters>, ComputeError> {
    let read = |index: usize| layers::in_64_bits::<T>(&layout.view(flat, index));
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
