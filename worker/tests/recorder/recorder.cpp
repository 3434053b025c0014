// A library of graphs (worker/bridge/graphs/graphs.h) for the CPU, to test what records and replays without a GPU:
// libtorch's dispatcher hands over every operation of the recording thread. A replay makes the same calls on the same
// tensors and puts what they return where the recording left it, so what had come from the host's memory stays as it was
// when it was recorded, as in a CUDA graph. Unlike there, a recording runs, too.

#include "../../bridge/graphs/graphs.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/headeronly/version.h>
#include <torch/library.h>

#include <memory>
#include <vector>

#include "../../bridge/guard.h"

#define TEXT_OF(value) #value
#define TEXT(value) TEXT_OF(value)

namespace {

constexpr auto kMode = c10::DispatchKey::TESTING_ONLY_GenericMode;

struct Operation {
  c10::OperatorHandle handle;
  torch::jit::Stack inputs;
  torch::jit::Stack outputs;
};

} // namespace

struct ConcentricGraph {
  std::vector<Operation> operations;
};

namespace {

thread_local ConcentricGraph* recording = nullptr;

void record(const c10::OperatorHandle& handle, torch::jit::Stack* stack) {
  const c10::impl::ExcludeDispatchKeyGuard below(kMode);
  const auto& schema = handle.schema();
  Operation operation{handle, torch::jit::last(*stack, schema.arguments().size()).vec(), {}};
  handle.callBoxed(stack);
  operation.outputs = torch::jit::last(*stack, schema.returns().size()).vec();
  recording->operations.push_back(std::move(operation));
}

void put(const c10::IValue& recorded, const c10::IValue& found) {
  if (recorded.isTensor()) {
    if (recorded.toTensor().defined()) {
      recorded.toTensor().copy_(found.toTensor());
    }
  } else if (recorded.isTensorList()) {
    const auto to = recorded.toTensorVector();
    const auto from = found.toTensorVector();
    for (size_t index = 0; index < to.size(); ++index) {
      to[index].copy_(from[index]);
    }
  }
}

} // namespace

TORCH_LIBRARY_IMPL(_, TESTING_ONLY_GenericMode, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&record>());
}

const char* concentric_graphs_device() noexcept {
  return "cpu";
}

const char* concentric_graphs_libtorch() noexcept {
  return TEXT(TORCH_VERSION_MAJOR) "." TEXT(TORCH_VERSION_MINOR) "." TEXT(TORCH_VERSION_PATCH);
}

char* concentric_graph_begin(ConcentricGraph** graph) noexcept {
  return concentric::guarded([&] {
    recording = *graph = new ConcentricGraph;
    c10::impl::tls_set_dispatch_key_included(kMode, true);
  });
}

char* concentric_graph_end(ConcentricGraph* graph) noexcept {
  return concentric::guarded([&] {
    c10::impl::tls_set_dispatch_key_included(kMode, false);
    recording = nullptr;
    TORCH_CHECK(!graph->operations.empty(), "nothing was recorded");
  });
}

char* concentric_graph_replay(ConcentricGraph* graph) noexcept {
  return concentric::guarded([&] {
    const c10::AutoGradMode no_graph(false);
    for (const auto& operation : graph->operations) {
      auto stack = operation.inputs;
      operation.handle.callBoxed(stack);
      const auto& returns = operation.handle.schema().returns();
      for (size_t index = 0; index < returns.size(); ++index) {
        // A view, or what was changed in place, is where it was.
        if (returns[index].alias_info() == nullptr) {
          put(operation.outputs[index], stack[index]);
        }
      }
    }
  });
}

void concentric_graphs_free_error(char* error) noexcept {
  bridge_error_free(error);
}

void concentric_graph_release(ConcentricGraph* graph) noexcept {
  delete graph;
}
