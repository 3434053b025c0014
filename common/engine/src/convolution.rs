//! A layer and its passes, on the slices of tensors. Who calls them owns the memory and the threads.

use super::backward;
use super::forward;
use super::memory::Workspace;
use super::method::Method;
use super::number::Number;
use super::prepare::{Lowered, Purpose};
use super::shape::{Shape, ShapeError};
use super::threads::Engine;

/// A convolution, or a linear layer, whose order of operations is a function of its shape.
///
/// Tensors are those of one logical shard: input `[images, height, width, inputs]`, kernel `[outputs, kernel, kernel,
/// inputs]`, output `[images, output_height, output_width, outputs]`; as many images as the slices hold.
#[derive(Debug)]
pub struct Convolution {
    shape: Shape,
    method: Method,
}

impl Convolution {
    /// Of a shape, in the way that is fastest for it.
    ///
    /// # Errors
    /// There is no such layer.
    pub fn new(shape: Shape) -> Result<Self, ShapeError> {
        Ok(Self { shape, method: Method::of(shape.check()?) })
    }

    /// Of a shape, by the sum of the definition, which rounds least.
    ///
    /// # Errors
    /// There is no such layer.
    pub fn direct(shape: Shape) -> Result<Self, ShapeError> {
        Ok(Self { shape, method: Method::direct(shape.check()?) })
    }

    /// Its shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Lowers a kernel, for every pass that is to multiply by it.
    ///
    /// # Panics
    /// `kernel` has another length than the layer's.
    pub fn prepare<T: Number>(
        &self,
        engine: Engine<'_>,
        kernel: &[T],
        purpose: Purpose,
        lowered: &mut Lowered,
    ) {
        assert_eq!(kernel.len(), self.shape.weights(), "numbers of a kernel of {:?}", self.shape);
        // SAFETY: the kernel is the layer's.
        unsafe { T::prepare(&self.method, engine, kernel.as_ptr(), purpose, lowered) };
    }

    /// Computes the output of `input`.
    ///
    /// # Panics
    /// The slices are not those of whole images and as many, or another layer's kernel was lowered.
    pub fn forward<T: Number>(
        &self,
        engine: Engine<'_>,
        input: &[T],
        lowered: &Lowered,
        output: &mut [T],
        workspace: &mut Workspace,
    ) {
        let images = self.images(input.len(), output.len());
        let tensors = forward::Tensors {
            input: input.as_ptr(),
            lowered,
            output: output.as_mut_ptr(),
            images,
        };
        // SAFETY: the tensors are those of the layer.
        unsafe { T::forward(&self.method, engine, tensors, workspace) };
    }

    /// Computes the gradients of the kernel and, where it is wanted, of the input, given the output's.
    ///
    /// # Panics
    /// The slices are not those of whole images and as many, or the kernel of another layer, or for another purpose, was
    /// lowered.
    pub fn backward<T: Number>(
        &self,
        engine: Engine<'_>,
        gradient: &[T],
        input: &[T],
        to_kernel: &mut [T],
        to_input: Option<ToInput<'_, T>>,
        workspace: &mut Workspace,
    ) {
        let images = self.images(input.len(), gradient.len());
        assert_eq!(to_kernel.len(), self.shape.weights(), "numbers of {:?}", self.shape);
        if images == 0 {
            return to_kernel.fill(T::default());
        }
        let (lowered, to_input) = match to_input {
            Some(ToInput { lowered, gradient }) => {
                assert_eq!(gradient.len(), input.len(), "numbers of the input's gradient");
                gradient.fill(T::default());
                (Some(lowered), gradient.as_mut_ptr())
            }
            None => (None, std::ptr::null_mut()),
        };
        let tensors = backward::Tensors {
            gradient: gradient.as_ptr(),
            input: input.as_ptr(),
            lowered,
            to_input,
            to_kernel: to_kernel.as_mut_ptr(),
            images,
        };
        // SAFETY: the tensors are those of the layer.
        unsafe { T::backward(&self.method, engine, tensors, workspace) };
    }

    /// Images of an input and an output.
    fn images(&self, input: usize, output: usize) -> usize {
        let images = input / self.shape.input_numbers();
        assert!(
            images * self.shape.input_numbers() == input
                && images * self.shape.output_numbers() == output,
            "{input} and {output} numbers are not images of {:?}",
            self.shape
        );
        images
    }
}

/// The input's gradient, where it is wanted.
#[derive(Debug)]
pub struct ToInput<'a, T> {
    /// The layer's kernel, lowered for training.
    pub lowered: &'a Lowered,
    /// What is computed, `[images, height, width, inputs]`.
    pub gradient: &'a mut [T],
}
