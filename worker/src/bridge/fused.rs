//! The optimizer's step in one pass over the parameters, which tch does not wrap. Called by the accelerator's commit.

use tch::{Kind, Tensor};

use super::error::{BridgeError, check};
use super::raw;

/// Numbers of an SGD step.
#[derive(Clone, Copy, Debug)]
pub struct Sgd<'a> {
    /// One 32-bit number on the parameters' device.
    pub learning_rate: &'a Tensor,
    /// Weight of what is remembered.
    pub momentum: f64,
    /// Weight of the parameters in the gradient.
    pub weight_decay: f64,
}

/// `torch.optim.SGD`'s step of 32-bit `parameters` against `gradient`, in place; `buffer` is its momentum.
///
/// # Errors
/// Tensors that do not fit together, or what libtorch says.
pub fn sgd(
    parameters: &mut Tensor,
    gradient: &Tensor,
    buffer: &mut Tensor,
    step: Sgd<'_>,
) -> Result<(), BridgeError> {
    const OPERATION: &str = "take an SGD step";
    let fits = |tensor: &Tensor| {
        tensor.kind() == Kind::Float
            && tensor.device() == parameters.device()
            && tensor.is_contiguous()
    };
    let like = |tensor: &Tensor| fits(tensor) && tensor.size() == parameters.size();
    let one = fits(step.learning_rate) && step.learning_rate.numel() == 1;
    if !(fits(parameters) && like(gradient) && like(buffer) && one) {
        return Err(BridgeError::Unsuitable {
            operation: OPERATION,
            expected: "contiguous 32-bit tensors of one shape on one device".into(),
            found: format!("{parameters:?}, {gradient:?}, {buffer:?}, {:?}", step.learning_rate),
        });
    }
    // SAFETY: all tensors are borrowed, those that change uniquely, so their `at::Tensor`s outlive the call, which keeps
    // no pointer to them.
    unsafe {
        check(
            OPERATION,
            raw::bridge_fused_sgd(
                parameters.as_mut_ptr().cast(),
                gradient.as_ptr().cast(),
                buffer.as_mut_ptr().cast(),
                step.learning_rate.as_ptr().cast(),
                step.momentum,
                step.weight_decay,
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn equals_pytorchs_definition() {
        let random = || Tensor::randn([100], (Kind::Float, Device::Cpu));
        let (mut parameters, gradient, mut buffer) = (random(), random(), random());
        let momentum = &buffer * 0.9 + (&gradient + &parameters * 0.01);
        let expected = &parameters - &momentum * 0.1;
        let learning_rate = Tensor::from_slice(&[0.1f32]);
        let step = Sgd { learning_rate: &learning_rate, momentum: 0.9, weight_decay: 0.01 };
        sgd(&mut parameters, &gradient, &mut buffer, step).unwrap();
        assert!(parameters.allclose(&expected, 1e-5, 1e-6, false));
        assert!(buffer.allclose(&momentum, 1e-5, 1e-6, false));
        let wide = gradient.to_kind(Kind::Double);
        assert!(matches!(
            sgd(&mut parameters, &wide, &mut buffer, step),
            Err(BridgeError::Unsuitable { .. })
        ));
    }
}
