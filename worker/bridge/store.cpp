// A c10d::Store whose every call goes to Rust; Gloo meets through it. See store.h.

#include "store.h"

#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <c10/util/Exception.h>

#include "error.h"

namespace concentric {
namespace {

using Bytes = std::vector<uint8_t>;

// Rust's side, released with the last store that uses it.
class Callbacks {
 public:
  explicit Callbacks(const BridgeStore& raw) noexcept : raw_(raw) {}
  Callbacks(const Callbacks&) = delete;
  Callbacks& operator=(const Callbacks&) = delete;
  ~Callbacks() {
    raw_.release(raw_.context);
  }

  const BridgeStore& operator*() const noexcept {
    return raw_;
  }

 private:
  const BridgeStore raw_;
};

BridgeText text(const std::string& string) {
  return {string.data(), string.size()};
}

void throw_if(char* error) {
  if (error != nullptr) {
    const std::string message(error);
    bridge_error_free(error);
    TORCH_CHECK_WITH(DistStoreError, false, message);
  }
}

// Where `get` delivers. An exception must not cross Rust's frames, so it waits here.
struct Sink {
  std::vector<Bytes> values;
  std::exception_ptr failure;

  static void emit(void* self, const uint8_t* value, size_t length) noexcept {
    auto* sink = static_cast<Sink*>(self);
    try {
      sink->values.emplace_back(value, value + length);
    } catch (...) {
      sink->failure = std::current_exception();
    }
  }
};

class RustStore final : public c10d::Store {
 public:
  RustStore(std::shared_ptr<Callbacks> callbacks, std::chrono::milliseconds timeout)
      : Store(timeout), callbacks_(std::move(callbacks)) {}

  c10::intrusive_ptr<Store> clone() override {
    return c10::make_intrusive<RustStore>(callbacks_, timeout_);
  }

  using Store::set;
  void set(const std::string& key, const Bytes& value) override {
    const auto& rust = **callbacks_;
    throw_if(rust.set(rust.context, text(key), value.data(), value.size()));
  }

  Bytes get(const std::string& key) override {
    return std::move(get_all({key}, timeout_).front());
  }

  std::vector<Bytes> multiGet(const std::vector<std::string>& keys) override {
    return get_all(keys, timeout_);
  }

  bool hasExtendedApi() const override {
    return true;
  }

  int64_t add(const std::string& key, int64_t amount) override {
    const auto& rust = **callbacks_;
    int64_t sum = 0;
    throw_if(rust.add(rust.context, text(key), amount, &sum));
    return sum;
  }

  // A `get` waits by itself: waiting before it would only ask twice.
  void wait(const std::vector<std::string>&) override {}
  void wait(const std::vector<std::string>&, const std::chrono::milliseconds&) override {}

  // Gloo asks for none of these.
  bool deleteKey(const std::string&) override {
    C10_THROW_ERROR(NotImplementedError, "the rendezvous deletes no keys");
  }
  bool check(const std::vector<std::string>&) override {
    C10_THROW_ERROR(NotImplementedError, "the rendezvous does not look without waiting");
  }
  int64_t getNumKeys() override {
    C10_THROW_ERROR(NotImplementedError, "the rendezvous does not count keys");
  }

 private:
  std::vector<Bytes> get_all(
      const std::vector<std::string>& keys,
      std::chrono::milliseconds timeout) {
    const auto& rust = **callbacks_;
    std::vector<BridgeText> names;
    names.reserve(keys.size());
    for (const auto& key : keys) {
      names.push_back(text(key));
    }
    Sink sink;
    throw_if(rust.get(
        rust.context, names.data(), names.size(), timeout.count(), &Sink::emit, &sink));
    if (sink.failure) {
      std::rethrow_exception(sink.failure);
    }
    TORCH_CHECK(sink.values.size() == keys.size(), "the store returned too few values");
    return std::move(sink.values);
  }

  std::shared_ptr<Callbacks> callbacks_;
};

} // namespace

c10::intrusive_ptr<c10d::Store> make_store(
    const BridgeStore& raw,
    std::chrono::milliseconds timeout) {
  // From here on the context has an owner, whatever fails.
  auto callbacks = std::make_shared<Callbacks>(raw);
  return c10::make_intrusive<RustStore>(std::move(callbacks), timeout);
}

} // namespace concentric
