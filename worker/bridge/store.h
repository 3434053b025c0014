// The key-value store of a rendezvous: a c10d::Store whose every call goes to Rust.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

// Borrowed text, not NUL-terminated.
struct BridgeText {
  const char* data;
  size_t length;
};

// Rust's side of a store. Each function may be called from any thread, returns null or an error text
// (bridge_error_new), and neither unwinds nor keeps what it was given.
struct BridgeStore {
  // Passed to every function; `release` gives it back, exactly once.
  void* context;
  void (*release)(void* context);
  char* (*set)(void* context, BridgeText key, const uint8_t* value, size_t length);
  // Waits until every key is there, then calls `emit(sink, …)` with their values in order.
  char* (*get)(
      void* context,
      const BridgeText* keys,
      size_t count,
      int64_t timeout_milliseconds,
      void (*emit)(void* sink, const uint8_t* value, size_t length),
      void* sink);
  char* (*add)(void* context, BridgeText key, int64_t amount, int64_t* sum);
};

} // extern "C"

#ifdef __cplusplus
#include <chrono>

#include <torch/csrc/distributed/c10d/Store.hpp>

namespace concentric {

// Takes over `callbacks.context`, also when it throws.
c10::intrusive_ptr<c10d::Store> make_store(
    const BridgeStore& callbacks,
    std::chrono::milliseconds timeout);

} // namespace concentric
#endif
