#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/tensor.h"

namespace krait {

/// How the elements of a weight are kept. `kNone` keeps the checkpoint's bits. The others are rounded to nearest,
/// symmetric, with one float16 scale for each `group_size` inputs of an output: a weight is q * scale, q in [-127, 127]
/// or [-8, 7]; the scale of int8 is max |w| / 127, that of int4 the one of several that has the least squared error.
enum class Quantization : std::uint8_t { kNone, kInt8, kInt4 };

/// "none", "int8", "int4".
constexpr std::string_view quantization_name(Quantization quantization) {
  constexpr std::string_view kNames[] = {"none", "int8", "int4"};
  return kNames[static_cast<std::size_t>(quantization)];
}

/// 32 for int4 (4.5 bits a weight); 128 for int8 (8.125 bits), whose steps are so fine that narrower groups gain
/// little.
constexpr int default_group_size(Quantization quantization) { return quantization == Quantization::kInt4 ? 32 : 128; }

/// Bytes of a quantised `[out_features, in_features]` with its scales, without a platform's padding.
constexpr std::size_t quantized_bytes(Quantization quantization, std::int64_t out_features, std::int64_t in_features,
                                      int group_size) {
  const std::int64_t bits = quantization == Quantization::kInt4 ? 4 : 8;
  const std::int64_t groups = (in_features + group_size - 1) / group_size;
  return static_cast<std::size_t>(out_features * ((in_features * bits + 7) / 8 + 2 * groups));
}

/// Rows [begin, end) of `out_features` (column-parallel) or of `in_features` (row-parallel) that belong to this rank.
struct Shard {
  enum class Axis : std::uint8_t { kNone, kOutput, kInput };
  Axis axis = Axis::kNone;
  int rank = 0;
  int size = 1;
};

/// Writes the values of rows [begin, begin + count) one row after another: -128 … 127 of int8, 0 … 15 of int4. Several
/// threads call it at once.
using ReadQuantizedRows = std::function<void(std::int64_t begin, std::int64_t count, std::int8_t* to)>;

/// A matrix `[rows, columns]` that the checkpoint has quantised itself: element (r, c) is (value - zero) * scale with
/// the scale and the zero point of group c / group_size of its row. Not owned.
struct QuantizedPart {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  ReadQuantizedRows read_rows;
  const float* scales = nullptr;        ///< [rows, groups], kept as float16 times a power of two for each row
  const std::uint8_t* zeros = nullptr;  ///< [rows, groups] of int4; null: 8. Of int8 there are none.
};

/// What `pack` reads: matrices `[out_features, in_features]` that share their input and are laid one after another
/// along the output (q|k|v, gate|up), and the optional bias of each. The views point into the checkpoint's mapping and
/// are not kept.
struct WeightSource {
  std::vector<TensorView> parts{};
  std::vector<TensorView> biases{};  ///< empty, or one a part
  /// Instead of `parts`: packed as they are, in the scheme's form and groups.
  std::vector<QuantizedPart> quantized{};
};

struct PackScheme {
  Quantization quantization = Quantization::kNone;
  /// The type that the input rows of the product are rounded to; decides the layout that the kernel streams.
  DType compute_dtype = DType::kFloat32;
  /// Inputs that share a scale, a multiple of 32; 0: the default of the form.
  int group_size = 0;
  /// The two parts are gate and up of a gated MLP and will be used with a gated epilogue: their columns may be
  /// interleaved.
  bool gate_up = false;

  [[nodiscard]] int group() const { return group_size > 0 ? group_size : default_group_size(quantization); }
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

/// A packed weight as bytes, of which its platform makes it again in another process (`Platform::restore`).
struct PackedImage {
  std::string form{};            ///< the platform's own: layout, sizes, types
  std::vector<Buffer> blocks{};  ///< the weight's own memory, not to be written
};

}  // namespace krait
