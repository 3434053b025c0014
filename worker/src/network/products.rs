//! The layers that multiply, on the engine: convolutions in 32 and 64 bits, and every linear layer.
//!
//! `weights` holds them for one rank; its logical shards and the evaluation compute with them, each in memory of its own.
//! Kernels are lowered once a step for all shards.

use common::architecture::{ConvolutionLayer, KERNEL_SIDE};
use engine::{Convolution, Engine, Instructions, Lowered, Purpose, Shape, ToInput, Workspace};
use tch::Tensor;

use super::error::ComputeError;
use super::layout::Layout;
use crate::bridge::with_slice;
use crate::machine::shard_pool::{ShardPool, Share};
use crate::mathematics::kernels::Float;

/// Every layer that multiplies, with the kernels as they were when they were lowered.
#[derive(Debug)]
pub struct Products {
    instructions: Instructions,
    /// Of each convolutional layer; none where libtorch convolves.
    pub convolutions: Vec<Product>,
    /// Of each hidden layer.
    pub hidden: Vec<Product>,
    /// Of `features` and `output`.
    pub heads: [Product; 2],
}

/// One layer.
#[derive(Debug)]
pub struct Product {
    /// What it computes.
    pub layer: Convolution,
    /// Its kernel.
    pub lowered: Lowered,
    /// Where that lies among the parameters.
    entry: usize,
}

impl Products {
    /// Those of a network; `convolving` where convolutions are among them.
    pub fn new(layout: &Layout, instructions: Instructions, convolving: bool) -> Self {
        let linear = |entry: usize| {
            let [outputs, inputs] = layout.entries[entry].spec.shape[..] else {
                unreachable!("a linear layer's weight has two dimensions")
            };
            Product::new(Shape::linear(inputs, outputs), entry)
        };
        let layers = layout.architecture().convolutions.iter().zip(&layout.convolutions);
        let convolutions = layers.filter(|_| convolving);
        let [feature_weight, _, output_weight, _] = layout.heads;
        Self {
            instructions,
            convolutions: convolutions
                .map(|(layer, entry)| Product::new(shape(layer), *entry))
                .collect(),
            hidden: layout.hidden.iter().map(|hidden| linear(hidden.weight)).collect(),
            heads: [feature_weight, output_weight].map(linear),
        }
    }

    /// Lowers the kernels as they are in the flat vector now.
    ///
    /// # Errors
    /// The vector is not one of this precision on the CPU.
    pub fn lower<T: Float>(
        &mut self,
        layout: &Layout,
        flat: &Tensor,
        pool: &ShardPool,
    ) -> Result<(), ComputeError> {
        let share = pool.share(1);
        let engine = Engine::new(self.instructions, &share);
        let products = self.convolutions.iter_mut().chain(&mut self.hidden).chain(&mut self.heads);
        Ok(with_slice(flat, |flat: &[T]| {
            pool.install(|| {
                for Product { layer, lowered, entry } in products {
                    let kernel = &flat[layout.range(*entry)];
                    layer.prepare(engine, kernel, Purpose::Training, lowered);
                }
            });
        })?)
    }

    /// What a logical shard computes with, of its share of the threads and memory of its own.
    pub fn means<'a>(&self, share: &'a Share, workspace: &'a mut Workspace) -> Means<'a> {
        Means { engine: Engine::new(self.instructions, share), workspace }
    }
}

impl Product {
    /// Computes the layer's output of `input`, as many images as these are of.
    pub fn forward<T: Float>(&self, input: &[T], output: &mut [T], means: &mut Means<'_>) {
        self.layer.forward(means.engine, input, &self.lowered, output, means.workspace);
    }

    /// Computes the gradients of the kernel and, where it is wanted, of the input, given that of the output, and the input.
    pub fn backward<T: Float>(
        &self,
        (gradient, input): (&[T], &[T]),
        to_kernel: &mut [T],
        to_input: Option<&mut [T]>,
        means: &mut Means<'_>,
    ) {
        let Means { engine, workspace } = means;
        let to_input = to_input.map(|gradient| ToInput { lowered: &self.lowered, gradient });
        self.layer.backward(*engine, gradient, input, to_kernel, to_input, workspace);
    }

    fn new(shape: Shape, entry: usize) -> Self {
        let layer = Convolution::new(shape).expect("the layers of a network have outputs");
        Self { layer, lowered: Lowered::default(), entry }
    }
}

/// A convolutional layer, whose padding keeps height and width.
fn shape(layer: &ConvolutionLayer) -> Shape {
    let ConvolutionLayer { side, inputs, outputs, .. } = *layer;
    Shape {
        height: side,
        width: side,
        inputs,
        outputs,
        kernel: KERNEL_SIDE,
        stride: 1,
        padding: KERNEL_SIDE / 2,
    }
}

/// What one logical shard computes its products with.
pub struct Means<'a> {
    /// Instructions and threads.
    engine: Engine<'a>,
    /// Memory of its own.
    workspace: &'a mut Workspace,
}
