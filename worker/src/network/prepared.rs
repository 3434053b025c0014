//! The parameters of a step as the passes on a CPU take them. The trainer renews them once a step; the logical shards and
//! the evaluation read them.

use std::sync::Arc;

use engine::Instructions;
use tch::{Kind, Tensor};

use super::error::ComputeError;
use super::layout::Layout;
use super::products::Products;
use super::weights::Weights;
use crate::machine::shard_pool::ShardPool;
use crate::mathematics::kernels::Float;

/// Views of the flat vector, and its kernels as the engine multiplies by them.
#[derive(Debug)]
pub struct Prepared {
    /// The parameters.
    pub weights: Weights,
    /// The layers that multiply.
    pub products: Products,
}

impl Prepared {
    /// Of `flat`, to be renewed before each use. Convolutions multiply numbers of kind `products`: those of the flat vector
    /// on the engine, others in libtorch.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn of(
        layout: &Arc<Layout>,
        flat: &Tensor,
        products: Kind,
        instructions: Instructions,
    ) -> Result<Self, ComputeError> {
        let convolving = products == flat.kind();
        Ok(Self {
            weights: Weights::of(layout, flat, products)?,
            products: Products::new(layout, instructions, convolving),
        })
    }

    /// Makes it what `flat` is now, which may be another vector than before.
    ///
    /// # Errors
    /// Memory ran out, or the vector is not one of this precision on the CPU.
    pub fn renew<T: Float>(&mut self, flat: &Tensor, pool: &ShardPool) -> Result<(), ComputeError> {
        self.weights = Weights::of(&self.weights.layout, flat, self.weights.products)?;
        self.products.lower::<T>(&self.weights.layout, flat, pool)
    }
}
