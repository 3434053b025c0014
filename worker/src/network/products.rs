//! The layers that multiply, on the engine: convolutions in 32 and 64 bits, and every linear layer.
//!
//! `weights` holds them for one rank; its logical shards and the evaluation compute with them, each in memory of its own.
//! Kernels are lowered once a step for all shards.

use common::architecture::{ConvolutionLayer, KERNEL_SIDE, PADDING};
use engine::{
    Backward, Convolution, Engine, Forward, Images, Instructions, Lowered, Observer, Purpose, Shape,
};
use tch::Tensor;

use super::error::ComputeError;
use super::layout::Layout;
use super::workspaces::{Lent, Workspaces};
use crate::bridge::with_slice;
use crate::machine::shard_pool::{ShardPool, Share};
use crate::mathematics::kernels::Float;

/// Every layer that multiplies, with the kernels as they were when they were lowered.
#[derive(Debug)]
pub struct Products {
    instructions: Instructions,
    workspaces: Workspaces,
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
        let layers = layout.architecture.convolutions.iter().zip(&layout.convolutions);
        let convolutions = layers.filter(|_| convolving);
        let [feature_weight, _, output_weight, _] = layout.heads;
        Self {
            instructions,
            workspaces: Workspaces::default(),
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

    /// What a logical shard computes with: its share of the threads, and memory that nobody else has meanwhile.
    pub fn means<'a>(&'a self, share: &'a Share) -> Means<'a> {
        Means { engine: Engine::new(self.instructions, share), lent: self.workspaces.lend() }
    }
}

impl Product {
    /// Computes the layer's output.
    pub fn forward<T: Float>(&self, flow: Flow<'_, T>, means: &mut Means<'_>) {
        let Flow { input, output, observer } = flow;
        let pass = Forward { input, lowered: &self.lowered, output, observer };
        self.layer.forward(means.engine, pass, &mut means.lent.workspace);
    }

    /// Computes the gradients of the kernel and, where it is wanted, of the input, given that of the output, and the input.
    pub fn backward<T: Float>(
        &self,
        (gradient, input): (&dyn Images<T>, &dyn Images<T>),
        to_kernel: &mut [T],
        to_input: Option<ToInput<'_, T>>,
        means: &mut Means<'_>,
    ) {
        let lowered = &self.lowered;
        let to_input = to_input.map(|ToInput { gradient, observer }| engine::ToInput {
            lowered,
            gradient,
            observer,
        });
        let pass = Backward { gradient, input, to_kernel, to_input };
        self.layer.backward(means.engine, pass, &mut means.lent.workspace);
    }

    fn new(shape: Shape, entry: usize) -> Self {
        let layer = Convolution::new(shape).expect("the layers of a network have outputs");
        Self { layer, lowered: Lowered::default(), entry }
    }
}

/// What a layer computes forward.
pub struct Flow<'a, T> {
    /// `[images, height, width, inputs]`.
    pub input: &'a dyn Images<T>,
    /// What is computed, `[images, height, width, outputs]`.
    pub output: &'a mut [T],
    /// Is told each image of that.
    pub observer: Observer<'a, T>,
}

/// The gradient of a layer's input, where it is wanted.
pub struct ToInput<'a, T> {
    /// What is computed, as large as the input.
    pub gradient: &'a mut [T],
    /// Is told each image of it.
    pub observer: Observer<'a, T>,
}

/// A convolutional layer, whose padding keeps height and width.
fn shape(layer: &ConvolutionLayer) -> Shape {
    let ConvolutionLayer { height, width, inputs, outputs, .. } = *layer;
    Shape { height, width, inputs, outputs, kernel: KERNEL_SIDE, stride: 1, padding: PADDING }
}

/// What one logical shard computes its products with.
pub struct Means<'a> {
    /// Instructions and threads.
    engine: Engine<'a>,
    /// Memory of its own.
    lent: Lent<'a>,
}
