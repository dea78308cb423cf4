#include "tests/emulation/emulated_stream.h"

#include <optional>
#include <stdexcept>
#include <utility>

namespace krait::cuda::emulation {
namespace {

thread_local std::optional<std::vector<StreamWork>> capture;

}  // namespace

std::vector<StreamWork>* captured() { return capture ? &*capture : nullptr; }

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
