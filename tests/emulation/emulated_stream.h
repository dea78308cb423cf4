#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

/// What the host puts into a stream of the emulated device: done at once, as late as can be, or captured. All streams
/// are one.
namespace krait::cuda::emulation {

/// A launch, a copy or a product.
struct StreamWork {
  std::string what;  ///< with all its arguments: work of one text does the same
  std::function<void()> run;
};

/// The work that the calling thread is capturing; null: none.
std::vector<StreamWork>* captured();

/// A slow device: work is done when somebody waits for it or for what comes after, and not before. One thread at a time
/// may use it; false does what is left.
void set_lazy(bool lazy);
[[nodiscard]] bool is_lazy();
/// Does it now, or later on a slow device.
void put(std::function<void()> work);
/// Work put so far; `finish` does all work up to such a number.
[[nodiscard]] std::uint64_t put_so_far();
void finish(std::uint64_t count);

/// Throws std::logic_error when the thread captures already.
void begin_capture();
/// Throws std::logic_error when it does not.
std::vector<StreamWork> end_capture();

/// Every byte in hexadecimal.
std::string bytes_as_text(const void* data, std::size_t bytes);

/// The value's bytes, those between its members cleared.
template <typename T>
std::string value_as_text(T value) {
  __builtin_clear_padding(&value);
  return bytes_as_text(&value, sizeof(T));
}

}  // namespace krait::cuda::emulation
