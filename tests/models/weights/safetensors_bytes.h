#pragma once

#include <cstdint>
#include <cstring>
#include <string>

namespace krait::test {

/// The eight bytes of a header length.
inline std::string length_bytes(std::uint64_t length) {
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>((length >> (8 * i)) & 0xffU);
  return bytes;
}

/// A safetensors file of this header and data, right or wrong.
inline std::string safetensors_bytes(const std::string& header, const std::string& data) {
  return length_bytes(header.size()) + header + data;
}

/// The bytes of some values, for the data section.
template <typename T>
std::string bytes_of(std::initializer_list<T> values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.begin(), bytes.size());
  return bytes;
}

}  // namespace krait::test
