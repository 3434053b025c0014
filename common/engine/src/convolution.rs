//! A layer and its passes, on the slices of tensors. Who calls them owns the memory and the threads.

use super::backward;
use super::forward;
use super::images::{Images, Observer, unobserved};
use super::memory::Workspace;
use super::method::Method;
use super::number::Number;
use super::prepare::{Lowered, Purpose};
use super::shape::{Shape, ShapeError};
use super::threads::Engine;

/// A convolution, or a linear layer, whose order of operations is a function of its shape.
///
/// Tensors are those of one logical shard: input `[images, height, width, inputs]`, kernel `[outputs, kernel, kernel,
/// inputs]`, output `[images, output_height, output_width, outputs]`.
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

    /// Computes the output.
    ///
    /// # Panics
    /// The tensors are not those of whole images and as many, or another layer's kernel was lowered.
    pub fn forward<T: Number>(
        &self,
        engine: Engine<'_>,
        pass: Forward<'_, T>,
        workspace: &mut Workspace,
    ) {
        let Forward { input, lowered, output, observer } = pass;
        self.check(input.count(), self.shape.output_numbers(), output.len());
        let output = output.as_mut_ptr();
        let tensors = forward::Tensors { input, lowered, output, observer };
        // SAFETY: the tensors are those of the layer.
        unsafe { T::forward(&self.method, engine, tensors, workspace) };
    }

    /// Computes the gradients of the kernel and, where it is wanted, of the input, given the output's.
    ///
    /// # Panics
    /// The tensors are not those of whole images and as many, or the kernel of another layer, or for another purpose, was
    /// lowered.
    pub fn backward<T: Number>(
        &self,
        engine: Engine<'_>,
        pass: Backward<'_, T>,
        workspace: &mut Workspace,
    ) {
        let Backward { gradient, input, to_kernel, to_input } = pass;
        let images = input.count();
        assert_eq!(gradient.count(), images, "images of the gradient");
        assert_eq!(to_kernel.len(), self.shape.weights(), "numbers of {:?}", self.shape);
        if images == 0 {
            return to_kernel.fill(T::default());
        }
        let (lowered, to_input, observer) = match to_input {
            Some(ToInput { lowered, gradient, observer }) => {
                self.check(images, self.shape.input_numbers(), gradient.len());
                (Some(lowered), gradient.as_mut_ptr(), observer)
            }
            None => (None, std::ptr::null_mut(), &unobserved as Observer<'_, T>),
        };
        let to_kernel = to_kernel.as_mut_ptr();
        let tensors = backward::Tensors { gradient, input, lowered, to_input, observer, to_kernel };
        // SAFETY: the tensors are those of the layer.
        unsafe { T::backward(&self.method, engine, tensors, workspace) };
    }

    /// Refuses a slice that does not hold so many images of `size` numbers.
    fn check(&self, images: usize, size: usize, numbers: usize) {
        assert!(
            images * size == numbers,
            "{numbers} numbers are not {images} images of {:?}",
            self.shape
        );
    }
}

/// A pass from input to output.
pub struct Forward<'a, T> {
    /// `[images, height, width, inputs]`.
    pub input: &'a dyn Images<T>,
    /// The layer's kernel, lowered.
    pub lowered: &'a Lowered,
    /// What is computed, `[images, output_height, output_width, outputs]`.
    pub output: &'a mut [T],
    /// Is told each image of the output.
    pub observer: Observer<'a, T>,
}

/// A pass from the output's gradient to those of kernel and input.
pub struct Backward<'a, T> {
    /// Of the output, `[images, output_height, output_width, outputs]`.
    pub gradient: &'a dyn Images<T>,
    /// What the output was computed of, `[images, height, width, inputs]`.
    pub input: &'a dyn Images<T>,
    /// What is computed, `[outputs, kernel, kernel, inputs]`: a sum over all images.
    pub to_kernel: &'a mut [T],
    /// The input's gradient, where it is wanted.
    pub to_input: Option<ToInput<'a, T>>,
}

/// The input's gradient, where it is wanted.
pub struct ToInput<'a, T> {
    /// The layer's kernel, lowered for training.
    pub lowered: &'a Lowered,
    /// What is computed, `[images, height, width, inputs]`.
    pub gradient: &'a mut [T],
    /// Is told each image of it.
    pub observer: Observer<'a, T>,
}
