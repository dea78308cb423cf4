#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "kernels/tensor.h"

namespace krait {

/// How the elements of a weight are kept. `kNone` keeps the checkpoint's bits; the quantised forms arrive with
/// `--quantization`.
enum class Quantization : std::uint8_t { kNone, kInt8, kInt4 };

/// Rows [begin, end) of `out_features` (column-parallel) or of `in_features` (row-parallel) that belong to this rank.
struct Shard {
  enum class Axis : std::uint8_t { kNone, kOutput, kInput };
  Axis axis = Axis::kNone;
  int rank = 0;
  int size = 1;
};

/// What `pack` reads: matrices `[out_features, in_features]` that share their input and are laid one after another
/// along the output (q|k|v, gate|up), and the optional bias of each. The views point into the checkpoint's mapping and
/// are not kept.
struct WeightSource {
  std::vector<TensorView> parts{};
  std::vector<TensorView> biases{};  ///< empty, or one a part
};

struct PackScheme {
  Quantization quantization = Quantization::kNone;
  /// The type that the input rows of the product are rounded to; decides the layout that the kernel streams.
  DType compute_dtype = DType::kFloat32;
  /// The two parts are gate and up of a gated MLP and will be used with a gated epilogue: their columns may be
  /// interleaved.
  bool gate_up = false;
};

/// A weight in the form that a platform's kernel streams. Opaque to everybody else; cheap to copy; immutable.
class PackedWeight {
 public:
  /// What a platform keeps behind the handle. Each platform derives its own.
  class Storage {
   public:
    virtual ~Storage() = default;
  };

  PackedWeight() = default;
  PackedWeight(std::shared_ptr<const Storage> storage, std::int64_t out_features, std::int64_t in_features,
               std::size_t bytes)
      : storage_(std::move(storage)), out_features_(out_features), in_features_(in_features), bytes_(bytes) {}

  [[nodiscard]] bool defined() const { return storage_ != nullptr; }
  [[nodiscard]] std::int64_t out_features() const { return out_features_; }
  [[nodiscard]] std::int64_t in_features() const { return in_features_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] const Storage& storage() const { return *storage_; }

 private:
  std::shared_ptr<const Storage> storage_;
  std::int64_t out_features_ = 0;
  std::int64_t in_features_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace krait
