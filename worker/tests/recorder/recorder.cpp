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

#include <functional>
#include <utility>
#include <vector>

#include "../../bridge/guard.h"

#define TEXT_OF(value) #value
#define TEXT(value) TEXT_OF(value)

namespace {

constexpr auto kMode = c10::DispatchKey::TESTING_ONLY_GenericMode;

struct Operation {
  c10::OperatorHandle handle;
  torch::jit::Stack inputs;
  // What it returned in memory of its own; views, and what was changed in place, are left out.
  std::vector<std::pair<size_t, at::Tensor>> outputs;

  void operator()() const {
    auto stack = inputs;
    handle.callBoxed(stack);
    for (const auto& [place, output] : outputs) {
      output.copy_(stack[place].toTensor());
    }
  }
};

} // namespace

struct ConcentricGraph {
  std::vector<std::function<void()>> operations;
};

namespace {

thread_local ConcentricGraph* recording = nullptr;

std::vector<at::Tensor> tensors(const c10::IValue& value) {
  if (value.isTensor()) {
    return {value.toTensor()};
  }
  return value.isTensorList() ? value.toTensorVector() : std::vector<at::Tensor>{};
}

bool is_fresh(const at::Tensor& output, const torch::jit::Stack& inputs) {
  for (const auto& input : inputs) {
    for (const auto& tensor : tensors(input)) {
      if (tensor.defined() && tensor.is_alias_of(output)) {
        return false;
      }
    }
  }
  return true;
}

void record(const c10::OperatorHandle& handle, torch::jit::Stack* stack) {
  const c10::impl::ExcludeDispatchKeyGuard below(kMode);
  const auto& schema = handle.schema();
  Operation operation{handle, torch::jit::last(*stack, schema.arguments().size()).vec(), {}};
  handle.callBoxed(stack);
  const auto outputs = torch::jit::last(*stack, schema.returns().size()).vec();
  for (size_t place = 0; place < outputs.size(); ++place) {
    // An operation that returns a list of tensors returns views.
    if (outputs[place].isTensor() && outputs[place].toTensor().defined() &&
        is_fresh(outputs[place].toTensor(), operation.inputs)) {
      operation.outputs.emplace_back(place, outputs[place].toTensor());
    }
  }
  recording->operations.push_back(std::move(operation));
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
      operation();
    }
  });
}

// Takes work that is not libtorch's into this thread's recording, if there is one: another library's part of a step.
extern "C" __attribute__((visibility("default"))) bool recorder_take(std::function<void()> work) {
  if (recording == nullptr) {
    return false;
  }
  recording->operations.push_back(std::move(work));
  return true;
}

void concentric_graphs_free_error(char* error) noexcept {
  bridge_error_free(error);
}

void concentric_graph_release(ConcentricGraph* graph) noexcept {
  delete graph;
}
