// C ABI of device.cpp; `worker/src/bridge/raw.rs` repeats these declarations for Rust.
//
// Streams, events and settings of a GPU through the parts of libtorch that know no CUDA, so that one program runs with
// and without it. Each function returns null or an error text, never throws, and leaves its results untouched on error.
#pragma once

#include <cstdint>

namespace at {
class Tensor;
}

extern "C" {

struct BridgeEvent;

// How convolutions and matrix products of 32-bit numbers are computed on every GPU of this process: with TF32 or
// without. cuDNN's deterministic algorithms are chosen in any case, and none by trial.
char* bridge_device_configure(bool tf32) noexcept;

// Gives the calling thread GPU `index` and a stream of its own there.
char* bridge_device_enter(int index) noexcept;

// The calling thread's current stream of GPU `index`, as CUDA's own libraries take it.
char* bridge_device_stream(int index, void** stream) noexcept;

// An event in the calling thread's current stream of GPU `index`.
char* bridge_event_record(int index, BridgeEvent** event) noexcept;

// Whether everything before an event is done. From any thread.
char* bridge_event_query(const BridgeEvent* event, bool* reached) noexcept;

void bridge_event_release(BridgeEvent* event) noexcept;

// `tensor` becomes memory of its shape and type on the CPU, not initialised; page-locked if the GPUs are to reach it.
char* bridge_staging(at::Tensor* tensor, bool page_locked) noexcept;

// `to` becomes `from`, of the same shape; between a GPU and page-locked memory without waiting.
char* bridge_copy_without_waiting(at::Tensor* to, const at::Tensor* from) noexcept;

// torch.optim.SGD's step in one pass: parameters and momentum change in place. The learning rate is a tensor of one
// number on the parameters' device.
char* bridge_fused_sgd(
    at::Tensor* parameters,
    const at::Tensor* gradient,
    at::Tensor* momentum_buffer,
    const at::Tensor* learning_rate,
    double momentum,
    double weight_decay) noexcept;

} // extern "C"
