// C ABI of convolution.cpp; `worker/src/bridge/raw.rs` repeats these declarations for Rust.
#pragma once

#include <cstdint>

namespace at {
class Tensor;
}

extern "C" {

// The gradients of a 2-D convolution without bias, stride 1, dilation 1, one group. On success
// `*weight_gradient`, and `*input_gradient` unless that pointer is null, hold new tensors that the
// caller owns. Returns null or an error text.
char* bridge_convolution_backward(
    const at::Tensor* grad_output,
    const at::Tensor* input,
    const at::Tensor* weight,
    int64_t padding,
    at::Tensor** input_gradient,
    at::Tensor** weight_gradient) noexcept;

} // extern "C"
