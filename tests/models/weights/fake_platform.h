#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "kernels/platform.h"
#include "kernels/result.h"

namespace krait::test {

/// Memory from malloc; `pack` only writes down what it was given.
class FakePlatform : public Platform {
 public:
  struct Packed {
    std::vector<Shape> parts;
    std::vector<Shape> biases;
    /// The first element of each part, read as bits of 16.
    std::vector<std::uint16_t> first_elements;
    DType compute_dtype;
    bool gate_up;
    Shard shard;
  };
  std::vector<Packed> packed;
  std::string refusal;  ///< when set, what `pack` throws

  [[nodiscard]] std::string_view name() const override { return "fake"; }
  [[nodiscard]] std::string description() const override { return "fake"; }
  Buffer allocate(std::size_t bytes) override {
    return {.data = std::shared_ptr<void>(std::aligned_alloc(64, (bytes + 63) / 64 * 64), std::free), .bytes = bytes};
  }
  Buffer upload(const void* from, std::size_t bytes) override {
    Buffer buffer = allocate(bytes);
    if (bytes > 0) std::memcpy(buffer.data.get(), from, bytes);
    return buffer;
  }
  std::unique_ptr<ReservedMemory> reserve(std::size_t) override { KRAIT_BUG("not in this test"); }
  [[nodiscard]] std::size_t available_memory() const override { return 0; }
  std::unique_ptr<Queue> create_queue() override { KRAIT_BUG("not in this test"); }
  PackedWeight pack(const WeightSource& source, const PackScheme& scheme, const Shard& shard) override {
    if (!refusal.empty()) throw StartupError(refusal);
    Packed record{.parts = {},
                  .biases = {},
                  .first_elements = {},
                  .compute_dtype = scheme.compute_dtype,
                  .gate_up = scheme.gate_up,
                  .shard = shard};
    std::int64_t out_features = 0;
    for (const TensorView& part : source.parts) {
      record.parts.push_back(part.shape);
      record.first_elements.push_back(*part.as<std::uint16_t>());
      out_features += part.rows();
    }
    for (const TensorView& bias : source.biases) record.biases.push_back(bias.shape);
    packed.push_back(record);
    return {std::make_shared<PackedWeight::Storage>(), out_features, source.parts[0].columns(), kPackedBytes};
  }
  [[nodiscard]] DType default_compute_dtype() const override { return DType::kFloat32; }
  [[nodiscard]] bool supports_compute_dtype(DType) const override { return true; }
  [[nodiscard]] int preferred_prefill_tile() const override { return 16; }

  /// What every packed weight says that it occupies.
  static constexpr std::size_t kPackedBytes = 1000;
};

}  // namespace krait::test
