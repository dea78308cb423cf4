#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/cpu_features.h"
#include "kernels/cpu/cpu_platform.h"
#include "kernels/operations.h"

namespace krait::test {

/// A float32 matrix in a vector.
struct Matrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::vector<float> data;

  Matrix() = default;
  Matrix(std::int64_t r, std::int64_t c, float value = 0.0F)
      : rows(r), columns(c), data(static_cast<std::size_t>(r * c), value) {}
  [[nodiscard]] TensorView view() const {
    return TensorView(const_cast<float*>(data.data()), DType::kFloat32, Shape{rows, columns});
  }
  /// As a vector of all elements.
  [[nodiscard]] TensorView flat() const {
    return TensorView(const_cast<float*>(data.data()), DType::kFloat32, Shape{rows * columns});
  }
  [[nodiscard]] float at(std::int64_t r, std::int64_t c) const {
    return data[static_cast<std::size_t>(r * columns + c)];
  }
  float& at(std::int64_t r, std::int64_t c) { return data[static_cast<std::size_t>(r * columns + c)]; }
  [[nodiscard]] Matrix slice(std::int64_t begin, std::int64_t end) const {
    Matrix part(end - begin, columns);
    std::copy(data.begin() + begin * columns, data.begin() + end * columns, part.data.begin());
    return part;
  }
  void append(const Matrix& other) {
    rows += other.rows;
    columns = other.columns;
    data.insert(data.end(), other.data.begin(), other.data.end());
  }
};

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}
inline bool same_bits(const Matrix& a, const Matrix& b) { return same_bits(a.data, b.data); }

/// The largest |a - b| / (1 + |b|).
inline double worst_error(const std::vector<float>& a, const std::vector<double>& b) {
  double worst = a.size() == b.size() ? 0.0 : 1e30;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    const double error = std::abs(static_cast<double>(a[i]) - b[i]) / (1.0 + std::abs(b[i]));
    worst = error <= worst ? worst : error;  // a NaN is the worst
  }
  return worst;
}

/// Random test data; tests print `seed`.
class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_(seed) {}
  float uniform(float low, float high) { return std::uniform_real_distribution<float>(low, high)(engine_); }
  int integer(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine_); }
  Matrix matrix(std::int64_t rows, std::int64_t columns, float scale = 1.0F) {
    Matrix m(rows, columns);
    for (float& x : m.data) x = uniform(-scale, scale);
    return m;
  }

 private:
  std::mt19937 engine_;
};

/// A platform with one queue.
struct Machine {
  CpuPlatform platform;
  std::unique_ptr<Queue> queue;
  std::string label;
  explicit Machine(const std::string& isa = "auto", int threads = 1)
      : platform(CpuOptions{.threads = threads, .isa = isa}),
        queue(platform.create_queue()),
        label(isa + " with " + std::to_string(threads) + " threads") {}
  [[nodiscard]] Operations& ops() const { return queue->ops(); }
};

/// Every instruction set that this processor has, and the best one with 1, 2 and 3 threads. The first is portable, one
/// thread: what the others must agree with bit for bit.
inline const std::vector<std::unique_ptr<Machine>>& machines() {
  static const auto all = [] {
    std::vector<std::unique_ptr<Machine>> list;
    list.push_back(std::make_unique<Machine>("portable", 1));
    const cpu::CpuFeatures features = cpu::detect_cpu_features();
    if (features.avx2) list.push_back(std::make_unique<Machine>("avx2", 1));
    if (features.avx512) list.push_back(std::make_unique<Machine>("avx512", 1));
    for (const int threads : {2, 3}) list.push_back(std::make_unique<Machine>("auto", threads));
    return list;
  }();
  return all;
}

/// Elements of `dtype` made of float32 values, and back.
inline std::vector<std::byte> encode(const std::vector<float>& values, DType dtype) {
  std::vector<std::byte> bytes(values.size() * dtype_size(dtype));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (dtype == DType::kFloat32) {
      std::memcpy(&bytes[i * 4], &values[i], 4);
    } else {
      const std::uint16_t half = dtype == DType::kBFloat16 ? float_to_bfloat16(values[i]) : float_to_float16(values[i]);
      std::memcpy(&bytes[i * 2], &half, 2);
    }
  }
  return bytes;
}
inline float round_to(float value, DType dtype) {
  if (dtype == DType::kBFloat16) return bfloat16_to_float(float_to_bfloat16(value));
  if (dtype == DType::kFloat16) return float16_to_float(float_to_float16(value));
  return value;
}

}  // namespace krait::test
