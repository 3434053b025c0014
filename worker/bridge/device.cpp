// Streams, events and settings of a GPU; see device.h.

#include "device.h"

#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/empty.h>
#include <c10/core/Event.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <memory>
#include <vector>

#include "guard.h"

struct BridgeEvent {
  c10::Event event;
};

namespace {

constexpr auto kCuda = c10::DeviceType::CUDA;

c10::Device gpu(int index) {
  return c10::Device(kCuda, static_cast<c10::DeviceIndex>(index));
}

} // namespace

char* bridge_device_configure(bool tf32) noexcept {
  return concentric::guarded([&] {
    auto& context = at::globalContext();
    context.setAllowTF32CuDNN(tf32);
    context.setAllowTF32CuBLAS(tf32);
    context.setDeterministicCuDNN(true);
    context.setBenchmarkCuDNN(false);
  });
}

char* bridge_device_enter(int index) noexcept {
  return concentric::guarded([&] {
    // libtorch registers the guard when libtorch_cuda.so is loaded, and throws here if it is not.
    const c10::impl::VirtualGuardImpl guard(kCuda);
    guard.setDevice(gpu(index));
    guard.exchangeStream(guard.getStreamFromGlobalPool(gpu(index)));
  });
}

char* bridge_device_stream(int index, void** stream) noexcept {
  return concentric::guarded([&] {
    const c10::impl::VirtualGuardImpl guard(kCuda);
    *stream = guard.getStreamNativeHandle(guard.getStream(gpu(index)));
  });
}

char* bridge_event_record(int index, BridgeEvent** event) noexcept {
  return concentric::guarded([&] {
    const c10::impl::VirtualGuardImpl guard(kCuda);
    auto made = std::make_unique<BridgeEvent>(BridgeEvent{c10::Event(kCuda)});
    made->event.record(guard.getStream(gpu(index)));
    *event = made.release();
  });
}

char* bridge_event_query(const BridgeEvent* event, bool* reached) noexcept {
  return concentric::guarded([&] { *reached = event->event.query(); });
}

void bridge_event_release(BridgeEvent* event) noexcept {
  delete event;
}

char* bridge_staging(at::Tensor* tensor, bool page_locked) noexcept {
  return concentric::guarded([&] {
    const auto options = tensor->options().device(c10::DeviceType::CPU).pinned_memory(page_locked);
    *tensor = at::empty(tensor->sizes(), options);
  });
}

char* bridge_copy_without_waiting(at::Tensor* to, const at::Tensor* from) noexcept {
  return concentric::guarded([&] {
    const c10::AutoGradMode no_graph(false);
    to->copy_(*from, /*non_blocking=*/true);
  });
}

char* bridge_fused_sgd(
    at::Tensor* parameters,
    const at::Tensor* gradient,
    at::Tensor* momentum_buffer,
    const at::Tensor* learning_rate,
    double momentum,
    double weight_decay) noexcept {
  return concentric::guarded([&] {
    const c10::AutoGradMode no_graph(false);
    const std::vector<at::Tensor> self{*parameters};
    const std::vector<at::Tensor> gradients{*gradient};
    const std::vector<at::Tensor> buffers{*momentum_buffer};
    // Not "first": a buffer of zeros makes the first step what PyTorch's is.
    at::_fused_sgd_(
        self,
        gradients,
        buffers,
        weight_decay,
        momentum,
        *learning_rate,
        /*dampening=*/0.0,
        /*nesterov=*/false,
        /*maximize=*/false,
        /*is_first_step=*/false);
  });
}
