// What every function of the bridge shares: C++ exceptions end here and become text.
#pragma once

#include <cstring>
#include <exception>
#include <utility>

#include <c10/util/Exception.h>

#include "error.h"

namespace concentric {

inline char* error_text(const char* what) noexcept {
  if (what == nullptr || *what == '\0') {
    what = "an error without a message";
  }
  return bridge_error_new(what, std::strlen(what));
}

// Runs `body`; null when it returned, otherwise what it threw as a text the caller owns.
// libtorch's backtrace is left out: it names frames of the wheel, not of this program.
template <typename Body>
char* guarded(Body&& body) noexcept {
  try {
    std::forward<Body>(body)();
    return nullptr;
  } catch (const c10::Error& error) {
    return error_text(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return error_text(error.what());
  } catch (...) {
    return error_text("a C++ exception of unknown type");
  }
}

} // namespace concentric
