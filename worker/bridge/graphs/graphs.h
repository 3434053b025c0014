// C ABI of a library of graphs: what a thread asks a device for is recorded once and asked for again with one call.
// `worker/src/bridge/graphs.rs` repeats these declarations for Rust.
//
// Such a library is a shared object of its own, opened while the program runs, because it needs CUDA's headers to be
// built and its libraries to be opened; the program needs neither. Each function that returns `char*` returns null or an
// error text, never throws, and leaves its results untouched on error.
#pragma once

#pragma GCC visibility push(default)
extern "C" {

struct ConcentricGraph;

// The kind of device it records, as libtorch names it: "cuda". Lives for ever.
const char* concentric_graphs_device() noexcept;

// MAJOR.MINOR.PATCH of the libtorch it was built for. Lives for ever.
const char* concentric_graphs_libtorch() noexcept;

// Records what the calling thread asks its current stream for from now on, instead of running it.
char* concentric_graph_begin(ConcentricGraph** graph) noexcept;

// Ends the recording that this thread began, and makes it ready to run. On error, too, nothing is recorded any more.
char* concentric_graph_end(ConcentricGraph* graph) noexcept;

// Runs what was recorded in the calling thread's current stream, without waiting.
char* concentric_graph_replay(ConcentricGraph* graph) noexcept;

// A text that one of these functions returned; null is allowed.
void concentric_graphs_free_error(char* error) noexcept;

void concentric_graph_release(ConcentricGraph* graph) noexcept;

} // extern "C"
#pragma GCC visibility pop
