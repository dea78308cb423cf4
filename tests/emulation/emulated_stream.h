#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

/// What the host puts into a stream of the emulated device: done at once, or captured.
namespace krait::cuda::emulation {

/// A launch, a copy or a product.
struct StreamWork {
  std::string what;  ///< with all its arguments: work of one text does the same
  std::function<void()> run;
};

/// The work that the calling thread is capturing; null: none, work is done at once.
std::vector<StreamWork>* captured();
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
