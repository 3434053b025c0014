//! The backward pass of a convolution, which tch does not wrap. Called by the layers' own backward.

use std::ptr;

use tch::Tensor;

use super::error::{BridgeError, check};
use super::raw;

/// Whether a convolution's backward pass also computes the gradient of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputGradient {
    /// Some layer below waits for it.
    Needed,
    /// The input is the data itself; about half of the work is saved.
    Skipped,
}

/// The gradients of `y = conv2d(input, weight)` without bias, with stride 1, dilation 1, one group
/// and `padding` zeros on every side: (of the input if needed, of the weight).
///
/// `grad_output` `[batch, out, height', width']`, `input` `[batch, in, height, width]`, `weight`
/// `[out, in, kernel, kernel]`, of one dtype on one device; the gradients have the shapes of what
/// they belong to. Never builds an autograd graph.
///
/// # Errors
///
/// What libtorch says about shapes, dtypes or devices that do not fit.
pub fn convolution_backward(
    grad_output: &Tensor,
    input: &Tensor,
    weight: &Tensor,
    padding: i64,
    input_gradient: InputGradient,
) -> Result<(Option<Tensor>, Tensor), BridgeError> {
    const OPERATION: &str = "differentiate a convolution";
    for tensor in [grad_output, input, weight] {
        require_image_like(OPERATION, tensor)?;
    }
    let mut to_input = ptr::null_mut();
    let mut to_weight = ptr::null_mut();
    let to_input_slot = match input_gradient {
        InputGradient::Needed => &raw mut to_input,
        InputGradient::Skipped => ptr::null_mut(),
    };
    // SAFETY: the three tensors are borrowed, so their `at::Tensor`s outlive the call, which only
    // reads them; the slots are locals of this frame. The function throws nothing and returns a
    // text made for `check`.
    unsafe {
        check(
            OPERATION,
            raw::bridge_convolution_backward(
                grad_output.as_ptr().cast(),
                input.as_ptr().cast(),
                weight.as_ptr().cast(),
                padding,
                to_input_slot,
                &raw mut to_weight,
            ),
        )?;
    }
    let adopt = |pointer: *mut raw::TorchTensor| {
        // SAFETY: on success a filled slot holds a tensor made with `new` for this call alone;
        // the `Tensor` becomes its only owner and releases it with `delete`.
        unsafe { Tensor::from_ptr(pointer.cast()) }
    };
    let to_input = (!to_input.is_null()).then(|| adopt(to_input));
    Ok((to_input, adopt(to_weight)))
}

fn require_image_like(operation: &'static str, tensor: &Tensor) -> Result<(), BridgeError> {
    if tensor.defined() && tensor.dim() == 4 {
        return Ok(());
    }
    Err(BridgeError::Unsuitable {
        operation,
        expected: "tensors of four dimensions".into(),
        found: if tensor.defined() { format!("{:?}", tensor.size()) } else { "none".into() },
    })
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    fn random(shape: &[i64]) -> Tensor {
        Tensor::randn(shape, (Kind::Double, Device::Cpu))
    }

    #[test]
    fn equals_autograd() {
        let input = random(&[3, 2, 7, 7]).set_requires_grad(true);
        let weight = random(&[4, 2, 5, 5]).set_requires_grad(true);
        let upstream = random(&[3, 4, 7, 7]);
        let output = input.conv2d(&weight, None::<Tensor>, [1, 1], [2, 2], [1, 1], 1);
        (output * &upstream).sum(Kind::Double).backward();
        let gradients = |need| convolution_backward(&upstream, &input, &weight, 2, need).unwrap();

        let (to_input, to_weight) = gradients(InputGradient::Needed);
        assert!(to_input.unwrap().allclose(&input.grad(), 1e-12, 1e-12, false));
        assert!(to_weight.allclose(&weight.grad(), 1e-12, 1e-12, false));
        assert!(!to_weight.requires_grad());

        let (skipped, same) = gradients(InputGradient::Skipped);
        assert!(skipped.is_none());
        assert_eq!(same, to_weight);
    }

    #[test]
    fn an_exception_becomes_an_error() {
        let error = convolution_backward(
            &random(&[1, 1, 4, 4]),
            &random(&[1, 2, 4, 4]),
            &random(&[1, 3, 5, 5]),
            2,
            InputGradient::Needed,
        )
        .unwrap_err();
        assert!(matches!(error, BridgeError::Torch { .. }), "{error}");
        let flat = random(&[4]);
        let error = convolution_backward(&flat, &flat, &flat, 2, InputGradient::Skipped);
        assert!(matches!(error, Err(BridgeError::Unsuitable { .. })));
    }
}
