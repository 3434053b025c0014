// The backward pass of a convolution, which tch does not wrap.

#include "convolution.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/convolution_backward.h>
#include <c10/core/GradMode.h>

#include <memory>

#include "guard.h"

char* bridge_convolution_backward(
    const at::Tensor* grad_output,
    const at::Tensor* input,
    const at::Tensor* weight,
    int64_t padding,
    at::Tensor** input_gradient,
    at::Tensor** weight_gradient) noexcept {
  return concentric::guarded([&] {
    // A gradient is a value here, never a node of another graph.
    const c10::AutoGradMode no_graph(false);
    const bool need_input = input_gradient != nullptr;
    auto [to_input, to_weight, to_bias] = at::convolution_backward(
        *grad_output,
        *input,
        *weight,
        /*bias_sizes=*/at::OptionalIntArrayRef(),
        /*stride=*/{1, 1},
        /*padding=*/{padding, padding},
        /*dilation=*/{1, 1},
        /*transposed=*/false,
        /*output_padding=*/{0, 0},
        /*groups=*/1,
        /*output_mask=*/{need_input, true, false});
    auto owned_weight = std::make_unique<at::Tensor>(std::move(to_weight));
    if (need_input) {
      *input_gradient = new at::Tensor(std::move(to_input));
    }
    *weight_gradient = owned_weight.release();
  });
}
