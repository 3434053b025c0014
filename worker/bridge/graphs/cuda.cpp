// CUDA graphs; see graphs.h. Built by deploy/cuda-graphs.sh into libconcentric_graphs.so.

#include "graphs.h"

#include <ATen/core/CachingHostAllocator.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <torch/headeronly/version.h>

#include <exception>
#include <memory>

#include "../guard.h"

#define TEXT_OF(value) #value
#define TEXT(value) TEXT_OF(value)

struct ConcentricGraph {
  at::cuda::CUDAGraph graph;
};

namespace {

// All graphs take their memory from one pool: they run one after the other in one stream, and nothing that one leaves
// there is read after the next has begun but what is still held.
at::cuda::MempoolId_t pool() {
  static const at::cuda::MempoolId_t handle = [] {
    const auto made = at::cuda::graph_pool_handle();
    // One use that is never given back: the allocator does not take up again a pool whose last graph is gone, and a
    // process records anew in every generation.
    c10::cuda::CUDACachingAllocator::createOrIncrefPool(c10::cuda::current_device(), made);
    // The allocator of page-locked memory keeps the pool, too.
    auto* host = at::getHostAllocator(at::kCUDA);
    host->begin_allocate_to_pool(made, [](c10::Stream) { return false; });
    host->end_allocate_to_pool(made);
    return made;
  }();
  return handle;
}

// libtorch leaves its allocators recording where a capture does not begin or is broken by what it captured.
void take_memory_as_ever() noexcept {
  try {
    c10::cuda::CUDACachingAllocator::endAllocateToPool(c10::cuda::current_device(), pool());
  } catch (const std::exception&) {
    // It was not.
  }
  try {
    at::getHostAllocator(at::kCUDA)->end_allocate_to_pool(pool());
  } catch (const std::exception&) {
    // Nor that of page-locked memory.
  }
}

} // namespace

const char* concentric_graphs_device() noexcept {
  return "cuda";
}

const char* concentric_graphs_libtorch() noexcept {
  return TEXT(TORCH_VERSION_MAJOR) "." TEXT(TORCH_VERSION_MINOR) "." TEXT(TORCH_VERSION_PATCH);
}

char* concentric_graph_begin(ConcentricGraph** graph) noexcept {
  return concentric::guarded([&] {
    auto made = std::make_unique<ConcentricGraph>();
    // Other threads of this program may use CUDA meanwhile.
    try {
      made->graph.capture_begin(pool(), cudaStreamCaptureModeThreadLocal);
    } catch (...) {
      take_memory_as_ever();
      throw;
    }
    *graph = made.release();
  });
}

char* concentric_graph_end(ConcentricGraph* graph) noexcept {
  return concentric::guarded([&] {
    try {
      graph->graph.capture_end();
    } catch (...) {
      take_memory_as_ever();
      throw;
    }
  });
}

char* concentric_graph_replay(ConcentricGraph* graph) noexcept {
  return concentric::guarded([&] { graph->graph.replay(); });
}

void concentric_graphs_free_error(char* error) noexcept {
  bridge_error_free(error);
}

void concentric_graph_release(ConcentricGraph* graph) noexcept {
  delete graph;
}
