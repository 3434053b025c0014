// C ABI of gloo.cpp; `worker/src/bridge/raw.rs` repeats these declarations for Rust.
//
// Each function returns null or an error text, never throws, and leaves its results untouched on
// error. Timeouts are in milliseconds and above zero. Functions that start an operation are not to
// be called on one group from two threads at once; everything else may.
#pragma once

#include <cstdint>

#include "store.h"

namespace at {
class Tensor;
}

extern "C" {

struct BridgeGroup;
struct BridgeWork;

// Meets the other `size - 1` ranks through `store` and connects to each; `address` is a name or an
// address of this machine at which they reach it. Blocks. Takes over `store.context` in any case.
char* bridge_gloo_connect(
    BridgeStore store,
    const char* address,
    int rank,
    int size,
    int64_t timeout,
    BridgeGroup** group) noexcept;

// Closes the connections and destroys the group; works that remain fail or are complete.
char* bridge_gloo_close(BridgeGroup* group) noexcept;

// Breaks every connection: whatever is in flight or will be started on this group fails at once,
// all-reduces included, here and at the peers.
char* bridge_gloo_cut(BridgeGroup* group) noexcept;

// Starts to send or receive the memory of a contiguous CPU tensor. The work holds the tensor.
char* bridge_gloo_send(
    BridgeGroup* group,
    const at::Tensor* tensor,
    int peer,
    int tag,
    BridgeWork** work) noexcept;
char* bridge_gloo_receive(
    BridgeGroup* group,
    const at::Tensor* tensor,
    int peer,
    int tag,
    BridgeWork** work) noexcept;

// Starts to sum a contiguous CPU tensor in place over all ranks.
char* bridge_gloo_all_reduce(
    BridgeGroup* group,
    const at::Tensor* tensor,
    int64_t timeout,
    BridgeWork** work) noexcept;

// Blocks until the operation is complete. A timeout breaks the group, as bridge_gloo_cut does.
char* bridge_gloo_wait(BridgeWork* work, int64_t timeout) noexcept;

// Ends the wait for a send or receive, the one that is under way or the next; from any thread.
char* bridge_gloo_abort(BridgeWork* work) noexcept;

// Gives up a work, complete or not; its tensor's memory is not touched afterwards.
void bridge_gloo_release(BridgeWork* work) noexcept;

} // extern "C"
