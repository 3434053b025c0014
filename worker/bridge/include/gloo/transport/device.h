// See gloo/context.h: why these declarations exist.
#pragma once

namespace gloo {
namespace transport {

class Device;

// Held by pointer in the work handles; only libtorch destroys one.
class UnboundBuffer {
 public:
  virtual ~UnboundBuffer() = 0;
};

} // namespace transport
} // namespace gloo
