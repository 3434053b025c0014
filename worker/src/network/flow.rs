//! What flows between convolutions, forward and back, made an image at a time where the next one takes it: BatchNorm, PReLU,
//! the pool and their gradients cost no memory, and no way to it.

use common::architecture::ConvolutionLayer;
use engine::{Images, Stored};

use crate::mathematics::kernels::activation::{
    normalise_activate_and_pool, normalise_and_activate,
};
use crate::mathematics::kernels::gradient::{
    Backward, InputGradient, gradient_of_input, gradient_sums,
};
use crate::mathematics::kernels::{Activation, Extent, Float};

/// A layer's result, made of its convolution's output.
#[derive(Clone, Copy, Debug)]
pub struct Activated<'a, T> {
    /// Which layer.
    pub layer: ConvolutionLayer,
    /// The convolution's output, `[images, height, width, outputs]`.
    pub z: &'a [T],
    /// BatchNorm and PReLU as they are applied.
    pub activation: &'a Activation<T>,
}

impl<'a, T: Float> Activated<'a, T> {
    /// Numbers of an image of the result.
    pub fn numbers(&self) -> usize {
        self.layer.result_numbers()
    }

    /// An image's backward sums, `[Σh…, Σh·(z − mean)…, slope]`, given the gradient of its result.
    pub fn gradient_sums(&self, image: usize, upstream: &[T], mean: &[f64]) -> Vec<f64> {
        gradient_sums(self.backward(image, upstream), mean)
    }

    fn extent(&self) -> Extent {
        let ConvolutionLayer { height, width, outputs, .. } = self.layer;
        Extent { height, width, channels: outputs }
    }

    fn output(&self, image: usize) -> &'a [T] {
        let numbers = self.extent().numbers();
        &self.z[image * numbers..(image + 1) * numbers]
    }

    fn backward<'b>(&'b self, image: usize, upstream: &'b [T]) -> Backward<'b, T> {
        Backward {
            z: self.output(image),
            upstream,
            extent: self.extent(),
            pooled: self.layer.pooled,
            activation: self.activation,
        }
    }
}

impl<T: Float> Images<T> for Activated<'_, T> {
    fn count(&self) -> usize {
        self.z.len() / self.extent().numbers()
    }

    fn image<'a>(&'a self, index: usize, room: &'a mut [T]) -> &'a [T] {
        let z = self.output(index);
        if self.layer.pooled {
            normalise_activate_and_pool(z, self.extent(), self.activation, room);
        } else {
            normalise_and_activate(z, self.activation, room);
        }
        room
    }
}

/// The gradient of a convolution's output, made of that of the layer's result.
#[derive(Clone, Copy, Debug)]
pub struct OutputGradient<'a, T> {
    /// The layer.
    pub of: Activated<'a, T>,
    /// The gradient of its result, as large as that.
    pub upstream: &'a [T],
    /// What the sums over the global batch say.
    pub coefficients: &'a InputGradient<T>,
}

impl<T: Float> Images<T> for OutputGradient<'_, T> {
    fn count(&self) -> usize {
        self.of.count()
    }

    fn image<'a>(&'a self, index: usize, room: &'a mut [T]) -> &'a [T] {
        let numbers = self.of.numbers();
        let upstream = &self.upstream[index * numbers..(index + 1) * numbers];
        gradient_of_input(self.of.backward(index, upstream), self.coefficients, room);
        room
    }
}

/// What a convolution is given.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a, T> {
    /// The data.
    Data(Stored<'a, T>),
    /// The result of the layer before.
    Result(Activated<'a, T>),
}

impl<T: Float> Images<T> for Input<'_, T> {
    fn count(&self) -> usize {
        match self {
            Self::Data(images) => images.count(),
            Self::Result(images) => images.count(),
        }
    }

    fn image<'a>(&'a self, index: usize, room: &'a mut [T]) -> &'a [T] {
        match self {
            Self::Data(images) => images.image(index, room),
            Self::Result(images) => images.image(index, room),
        }
    }
}
