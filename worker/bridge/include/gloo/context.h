// Gloo is inside libtorch_cpu.so, but the wheel leaves its headers out. ProcessGroupGloo.hpp names a
// few of its types; the files of this folder declare those, no more than the compiler asks for.
// Nothing here is ever constructed, laid out or called from our side but through libtorch, and
// libgloo of a distribution must never be linked beside it: its symbols clash.
#pragma once

#include <chrono>

namespace gloo {

class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};

} // namespace gloo
