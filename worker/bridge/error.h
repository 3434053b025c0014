// How errors cross: as text in memory of C's `malloc`, in both directions.
#pragma once

#include <cstddef>

extern "C" {

// A copy of `length` bytes as an error text. Rust's callbacks return what this returns.
char* bridge_error_new(const char* text, size_t length) noexcept;

// Releases an error text; null is allowed.
void bridge_error_free(char* error) noexcept;

} // extern "C"
