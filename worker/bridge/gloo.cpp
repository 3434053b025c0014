// c10d's Gloo process group, as C functions. Gloo itself is the one inside libtorch_cpu.so.

#include "gloo.h"

#include <chrono>
#include <iostream>
#include <limits>
#include <memory>
#include <mutex>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include "guard.h"
#include "store.h"

using std::chrono::milliseconds;

struct BridgeGroup {
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo;
};

struct BridgeWork {
  c10::intrusive_ptr<c10d::Work> work;
};

namespace {

// No exchange uses it: those count from zero and stop below.
constexpr int kTagOfCut = std::numeric_limits<int>::max();

// Gloo prints a line to std::cout for every group. This program's own output goes through Rust, so
// C++'s stream is closed instead of filtered.
void silence_standard_output() {
  static const bool silenced = [] {
    std::cout.setstate(std::ios_base::failbit);
    return true;
  }();
  (void)silenced;
}

BridgeWork* own(c10::intrusive_ptr<c10d::Work> work) {
  return new BridgeWork{std::move(work)};
}

// c10d notes every collective in one flight recorder for the whole process, and looks up the group's entry there before
// it takes the recorder's lock. Two groups of a process that begin one at the same time would break that table.
std::mutex& flight_recorder() {
  static std::mutex recorder;
  return recorder;
}

// A receive nobody answers runs into its timeout, and on a timeout Gloo fails and closes every
// connection of the group: its one way to end a collective from outside. Where the connection to
// this peer is closed already nothing happens.
void time_out_on(c10d::ProcessGroupGloo& gloo, int peer) {
  std::vector<at::Tensor> nothing{at::empty({1}, at::kByte)};
  try {
    gloo.recv(nothing, peer, kTagOfCut)->wait(milliseconds(1));
  } catch (const std::exception&) {
    // What was wanted, or not needed any more.
  }
}

} // namespace

char* bridge_gloo_connect(
    BridgeStore store,
    const char* address,
    int rank,
    int size,
    int64_t timeout,
    BridgeGroup** group) noexcept {
  return concentric::guarded([&] {
    auto rendezvous = concentric::make_store(store, milliseconds(timeout));
    silence_standard_output();
    auto options = c10d::ProcessGroupGloo::Options::create(milliseconds(timeout));
    options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(address));
    options->threads = 1;
    auto made = std::make_unique<BridgeGroup>();
    made->gloo =
        c10::make_intrusive<c10d::ProcessGroupGloo>(rendezvous, rank, size, std::move(options));
    *group = made.release();
  });
}

char* bridge_gloo_close(BridgeGroup* group) noexcept {
  return concentric::guarded([&] { delete group; });
}

char* bridge_gloo_cut(BridgeGroup* group) noexcept {
  return concentric::guarded([&] {
    auto& gloo = *group->gloo;
    for (int peer = 0; peer < gloo.getSize(); ++peer) {
      if (peer != gloo.getRank()) {
        time_out_on(gloo, peer);
      }
    }
  });
}

char* bridge_gloo_send(
    BridgeGroup* group,
    const at::Tensor* tensor,
    int peer,
    int tag,
    BridgeWork** work) noexcept {
  return concentric::guarded([&] {
    std::vector<at::Tensor> tensors{*tensor};
    *work = own(group->gloo->send(tensors, peer, tag));
  });
}

char* bridge_gloo_receive(
    BridgeGroup* group,
    const at::Tensor* tensor,
    int peer,
    int tag,
    BridgeWork** work) noexcept {
  return concentric::guarded([&] {
    std::vector<at::Tensor> tensors{*tensor};
    *work = own(group->gloo->recv(tensors, peer, tag));
  });
}

char* bridge_gloo_all_reduce(
    BridgeGroup* group,
    const at::Tensor* tensor,
    int64_t timeout,
    BridgeWork** work) noexcept {
  return concentric::guarded([&] {
    std::vector<at::Tensor> tensors{*tensor};
    c10d::AllreduceOptions options;
    options.reduceOp = c10d::ReduceOp::SUM;
    options.timeout = milliseconds(timeout);
    const std::lock_guard<std::mutex> lock(flight_recorder());
    *work = own(group->gloo->allreduce(tensors, options));
  });
}

char* bridge_gloo_wait(BridgeWork* work, int64_t timeout) noexcept {
  return concentric::guarded([&] {
    TORCH_CHECK(work->work->wait(milliseconds(timeout)), "the operation was given up");
  });
}

char* bridge_gloo_abort(BridgeWork* work) noexcept {
  return concentric::guarded([&] { work->work->abort(); });
}

void bridge_gloo_release(BridgeWork* work) noexcept {
  delete work;
}
