// In NCCL's place for tests without a GPU: the functions of nccl.h that the worker calls, on the CPU's memory and over
// Unix sockets. Streams are ignored: a call is "in progress" until its data are there. Tests compile it.
//
// While a step is recorded (tests/recorder), a call becomes part of the recording, too; a replay makes it again, and is
// back when its data are there. As with NCCL, a communicator does not end before the recordings that it is part of.
//
// Built with -DVERSION=21800 it is an old NCCL, with -DWITHOUT_ABORT one that lacks a function, with -DABORT_HANGS one
// whose abort takes a minute, with -DBROKEN one that cannot begin, with -DCALLS_FAIL one whose exchanges fail on this
// rank.

#include <dlfcn.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#ifndef VERSION
#define VERSION 22809
#endif

namespace {

enum Result { kSuccess = 0, kUnhandled = 1, kInvalidArgument = 4, kInvalidUsage = 5, kRemote = 6, kInProgress = 7 };

struct UniqueId {
  char internal[128];
};

struct Config {
  size_t size;
  unsigned magic;
  unsigned version;
  int blocking;
};

// One direction of an exchange with a peer: a header with the length, then the bytes.
struct Transfer {
  int peer;
  char* memory;
  uint64_t length;
  bool sends;
  uint64_t header = 0;
  size_t done = 0;
};

struct Communicator {
  std::string name;
  int rank = 0;
  int size = 0;
  int listener = -1;
  std::vector<int> peers;
  std::thread background;
  std::atomic<int> state{kInProgress};
  std::atomic<bool> aborted{false};
  // One more owner for each call in a recording.
  std::shared_ptr<char> recordings = std::make_shared<char>();

  void begin(std::function<int()> work) {
    join();
    state = kInProgress;
    background = std::thread([this, work = std::move(work)] { state = work(); });
  }

  void join() {
    if (background.joinable()) {
      background.join();
    }
  }
};

thread_local int group_depth = 0;
thread_local Communicator* group_of = nullptr;
thread_local std::vector<Transfer> group;

sockaddr_un address(const Communicator& communicator, int rank, socklen_t* length) {
  sockaddr_un result{};
  result.sun_family = AF_UNIX;
  // The name begins with NUL: no file is left behind.
  const std::string text = communicator.name + "-" + std::to_string(rank);
  std::memcpy(result.sun_path + 1, text.data(), text.size());
  *length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  return result;
}

// Waits a little for a socket; false after an abort.
bool await_socket(const Communicator& communicator, int socket, short events) {
  while (!communicator.aborted) {
    pollfd entry{socket, events, 0};
    if (poll(&entry, 1, 10) > 0) {
      return true;
    }
  }
  return false;
}

int dial(Communicator& communicator, int peer) {
  while (!communicator.aborted) {
    const int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t length = 0;
    const auto target = address(communicator, peer, &length);
    if (connect(connection, reinterpret_cast<const sockaddr*>(&target), length) == 0) {
      const int32_t own = communicator.rank;
      if (write(connection, &own, sizeof own) != sizeof own) {
        return kRemote;
      }
      communicator.peers[peer] = connection;
      return kSuccess;
    }
    close(connection);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return kRemote;
}

int meet(Communicator& communicator) {
#ifdef BROKEN
  return kUnhandled;
#endif
  for (int peer = 0; peer < communicator.rank; ++peer) {
    if (const int result = dial(communicator, peer)) {
      return result;
    }
  }
  for (int missing = communicator.size - communicator.rank - 1; missing > 0; --missing) {
    if (!await_socket(communicator, communicator.listener, POLLIN)) {
      return kRemote;
    }
    const int connection = accept(communicator.listener, nullptr, nullptr);
    int32_t peer = -1;
    if (!await_socket(communicator, connection, POLLIN) ||
        read(connection, &peer, sizeof peer) != sizeof peer || peer < 0 || peer >= communicator.size) {
      return kRemote;
    }
    communicator.peers[peer] = connection;
  }
  return kSuccess;
}

bool is_done(const Transfer& transfer) {
  return transfer.done == sizeof transfer.header + transfer.length;
}

// Moves what can be moved without waiting.
int move_on(Transfer& transfer, int socket) {
  while (!is_done(transfer)) {
    const bool in_header = transfer.done < sizeof transfer.header;
    char* start = in_header ? reinterpret_cast<char*>(&transfer.header) + transfer.done
                            : transfer.memory + (transfer.done - sizeof transfer.header);
    const size_t left = in_header ? sizeof transfer.header - transfer.done
                                  : sizeof transfer.header + transfer.length - transfer.done;
    const ssize_t moved = transfer.sends ? send(socket, start, left, MSG_DONTWAIT | MSG_NOSIGNAL)
                                         : recv(socket, start, left, MSG_DONTWAIT);
    if (moved < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
      return kSuccess;
    }
    if (moved <= 0) {
      return kRemote;
    }
    transfer.done += static_cast<size_t>(moved);
    if (!transfer.sends && transfer.done == sizeof transfer.header && transfer.header != transfer.length) {
      return kInvalidArgument;
    }
  }
  return kSuccess;
}

int move_all(Communicator& communicator, std::vector<Transfer> transfers) {
  for (auto& transfer : transfers) {
    transfer.header = transfer.sends ? transfer.length : 0;
  }
  while (!communicator.aborted) {
    std::vector<pollfd> waiting;
    for (auto& transfer : transfers) {
      if (const int result = move_on(transfer, communicator.peers[transfer.peer])) {
        return result;
      }
      if (!is_done(transfer)) {
        const short events = transfer.sends ? POLLOUT : POLLIN;
        waiting.push_back({communicator.peers[transfer.peer], events, 0});
      }
    }
    if (waiting.empty()) {
      return kSuccess;
    }
    poll(waiting.data(), waiting.size(), 10);
  }
  return kRemote;
}

template <typename Number>
void add(char* sum, const char* other, size_t count) {
  for (size_t index = 0; index < count; ++index) {
    Number a, b;
    std::memcpy(&a, sum + index * sizeof a, sizeof a);
    std::memcpy(&b, other + index * sizeof b, sizeof b);
    a = static_cast<Number>(a + b);
    std::memcpy(sum + index * sizeof a, &a, sizeof a);
  }
}

// Everyone sends everything to everyone and adds in the order of ranks.
int all_reduce(Communicator& communicator, char* memory, size_t count, int type) {
  const size_t width = type == 7 ? 4 : type == 8 || type == 4 ? 8 : 0;
  if (width == 0) {
    return kInvalidArgument;
  }
  std::vector<std::vector<char>> all(communicator.size, std::vector<char>(count * width));
  std::memcpy(all[communicator.rank].data(), memory, count * width);
  std::vector<Transfer> transfers;
  for (int peer = 0; peer < communicator.size; ++peer) {
    if (peer != communicator.rank) {
      transfers.push_back({peer, all[communicator.rank].data(), count * width, true});
      transfers.push_back({peer, all[peer].data(), count * width, false});
    }
  }
  if (const int result = move_all(communicator, std::move(transfers))) {
    return result;
  }
  for (int rank = 1; rank < communicator.size; ++rank) {
    type == 7   ? add<float>(all[0].data(), all[rank].data(), count)
    : type == 8 ? add<double>(all[0].data(), all[rank].data(), count)
                : add<int64_t>(all[0].data(), all[rank].data(), count);
  }
  std::memcpy(memory, all[0].data(), count * width);
  return kSuccess;
}

// The recorder's function that takes a call into the thread's recording; none where steps are not recorded.
using Take = bool (*)(std::function<void()>);

Take recorder() {
  static const Take take = [] {
    const char* path = std::getenv("CONCENTRIC_GRAPHS_LIBRARY");
    void* library = path != nullptr ? dlopen(path, RTLD_NOW | RTLD_NOLOAD) : nullptr;
    return library != nullptr ? reinterpret_cast<Take>(dlsym(library, "recorder_take")) : nullptr;
  }();
  return take;
}

// Makes a call in the background, and in every replay of what is being recorded.
int make(Communicator* communicator, std::function<int()> work) {
#ifdef CALLS_FAIL
  return kUnhandled;
#endif
  if (const Take take = recorder()) {
    take([communicator, work, owner = communicator->recordings] {
      if (communicator->state == kSuccess) {
        communicator->state = work();
      }
    });
  }
  communicator->begin(std::move(work));
  return kInProgress;
}

int queue(Transfer transfer, int type, Communicator* communicator) {
  if (group_depth == 0 || type != 1 || (group_of != nullptr && group_of != communicator)) {
    return kInvalidUsage;
  }
  group_of = communicator;
  group.push_back(transfer);
  return kSuccess;
}

void release(Communicator* communicator) {
  while (communicator->recordings.use_count() > 1) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  communicator->join();
  for (const int connection : communicator->peers) {
    if (connection >= 0) {
      close(connection);
    }
  }
  close(communicator->listener);
  delete communicator;
}

} // namespace

extern "C" {

int ncclGetVersion(int* version) {
  *version = VERSION;
  return kSuccess;
}

int ncclGetUniqueId(UniqueId* id) {
  std::random_device random;
  std::snprintf(id->internal, sizeof id->internal, "stand-in-%08x%08x%08x", random(), random(), random());
  return kSuccess;
}

const char* ncclGetErrorString(int result) {
  switch (result) {
    case kSuccess:
      return "no error";
    case kUnhandled:
      return "unhandled cuda error";
    case kRemote:
      return "remote process exited or there was a network error";
    default:
      return "invalid";
  }
}

const char* ncclGetLastError(Communicator*) {
  return "";
}

int ncclCommInitRankConfig(Communicator** made, int size, UniqueId id, int rank, Config* config) {
  if (config->magic != 0xcafebeef || config->blocking != 0 || config->version > VERSION) {
    return kInvalidArgument;
  }
  auto* communicator = new Communicator;
  communicator->name = id.internal;
  communicator->rank = rank;
  communicator->size = size;
  communicator->peers.assign(size, -1);
  communicator->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  socklen_t length = 0;
  const auto own = address(*communicator, rank, &length);
  if (bind(communicator->listener, reinterpret_cast<const sockaddr*>(&own), length) != 0 ||
      listen(communicator->listener, size) != 0) {
    release(communicator);
    return kInvalidUsage;
  }
  communicator->begin([communicator] { return meet(*communicator); });
  *made = communicator;
  return kInProgress;
}

int ncclCommGetAsyncError(Communicator* communicator, int* state) {
  *state = communicator->state;
  return kSuccess;
}

int ncclGroupStart() {
  ++group_depth;
  return kSuccess;
}

int ncclGroupEnd() {
  if (--group_depth > 0 || group_of == nullptr) {
    return kSuccess;
  }
  Communicator* communicator = group_of;
  group_of = nullptr;
  if (communicator->state != kSuccess) {
    group.clear();
    return kInvalidUsage;
  }
  const std::vector<Transfer> transfers(group);
  group.clear();
  return make(communicator, [communicator, transfers] { return move_all(*communicator, transfers); });
}

int ncclSend(const void* memory, size_t length, int type, int peer, Communicator* communicator, void*) {
  char* start = const_cast<char*>(static_cast<const char*>(memory));
  return queue({peer, start, length, true}, type, communicator);
}

int ncclRecv(void* memory, size_t length, int type, int peer, Communicator* communicator, void*) {
  return queue({peer, static_cast<char*>(memory), length, false}, type, communicator);
}

int ncclAllReduce(
    const void* from, void* to, size_t count, int type, int operation, Communicator* communicator, void*) {
  if (from != to || operation != 0 || communicator->state != kSuccess) {
    return kInvalidUsage;
  }
  return make(
      communicator, [=] { return all_reduce(*communicator, static_cast<char*>(to), count, type); });
}

#ifndef WITHOUT_ABORT
int ncclCommAbort(Communicator* communicator) {
#ifdef ABORT_HANGS
  std::this_thread::sleep_for(std::chrono::minutes(1));
#endif
  communicator->aborted = true;
  release(communicator);
  return kSuccess;
}
#endif

int ncclCommFinalize(Communicator* communicator) {
  return communicator->state == kSuccess ? kSuccess : kInvalidUsage;
}

int ncclCommDestroy(Communicator* communicator) {
  release(communicator);
  return kSuccess;
}

} // extern "C"
