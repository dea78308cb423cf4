#include "tests/emulation/emulated_stream.h"

#include <deque>
#include <optional>
#include <stdexcept>
#include <utility>

namespace krait::cuda::emulation {
namespace {

thread_local std::optional<std::vector<StreamWork>> capture;
bool lazy = false;
std::deque<std::function<void()>> waiting;
std::uint64_t count_put = 0;

}  // namespace

std::vector<StreamWork>* captured() { return capture ? &*capture : nullptr; }

void set_lazy(bool now) {
  lazy = now;
  if (!lazy) finish(count_put);
}
bool is_lazy() { return lazy; }

void put(std::function<void()> work) {
  ++count_put;
  if (!lazy) return work();
  waiting.push_back(std::move(work));
}

std::uint64_t put_so_far() { return count_put; }

void finish(std::uint64_t count) {
  while (!waiting.empty() && count_put - waiting.size() < count) {
    const std::function<void()> work = std::move(waiting.front());
    waiting.pop_front();
    work();
  }
}

void begin_capture() {
  if (capture) throw std::logic_error("the thread captures a stream already");
  capture.emplace();
}

std::vector<StreamWork> end_capture() {
  if (!capture) throw std::logic_error("the thread captures no stream");
  return *std::exchange(capture, std::nullopt);
}

std::string bytes_as_text(const void* data, std::size_t bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  const auto* from = static_cast<const unsigned char*>(data);
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) {
    text += kDigits[from[i] / 16];
    text += kDigits[from[i] % 16];
  }
  return text;
}

}  // namespace krait::cuda::emulation
