#pragma once

#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace krait {

/// Appends values as the machine holds them (all machines that Krait runs on are little-endian).
class ByteWriter {
 public:
  explicit ByteWriter(std::size_t expected_bytes) { bytes_.reserve(expected_bytes); }
  template <typename T>
  requires std::is_trivially_copyable_v<T>
  void put(const T& value) { put_bytes(&value, sizeof(value)); }
  void put_bytes(const void* data, std::size_t count) { bytes_.append(static_cast<const char*>(data), count); }
  [[nodiscard]] std::string take() { return std::move(bytes_); }
  [[nodiscard]] std::string_view bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// Reads what a ByteWriter wrote; every read is checked against what is left.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : left_(bytes) {}
  template <typename T>
  requires std::is_trivially_copyable_v<T>
  [[nodiscard]] std::optional<T> get() {
    T value;
    if (left_.size() < sizeof(T)) return std::nullopt;
    std::memcpy(&value, left_.data(), sizeof(T));
    left_.remove_prefix(sizeof(T));
    return value;
  }
  [[nodiscard]] std::optional<std::string_view> get_bytes(std::size_t count) {
    if (left_.size() < count) return std::nullopt;
    const std::string_view taken = left_.substr(0, count);
    left_.remove_prefix(count);
    return taken;
  }
  [[nodiscard]] std::size_t left() const { return left_.size(); }

 private:
  std::string_view left_;
};

}  // namespace krait
