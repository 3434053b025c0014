// Memory of error texts; see error.h.

#include "error.h"

#include <cstdlib>
#include <cstring>

char* bridge_error_new(const char* text, size_t length) noexcept {
  char* copy = static_cast<char*>(std::malloc(length + 1));
  if (copy == nullptr) {
    // No memory for a message: better to stop than to report success.
    std::abort();
  }
  if (length > 0) {
    std::memcpy(copy, text, length);
  }
  copy[length] = '\0';
  return copy;
}

void bridge_error_free(char* error) noexcept {
  std::free(error);
}
