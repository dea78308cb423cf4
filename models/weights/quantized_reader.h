#pragma once

#include <string>
#include <vector>

#include "models/weights/checkpoint.h"
#include "models/weights/quantization_config.h"
#include "models/weights/quantized_matrix.h"

namespace krait {

/// Finds and reads the matrices that a checkpoint keeps as integers, by the name of the weight that they stand for
/// (`….weight`). Layouts, with 32 / bits values in an int32, the first in the lowest bits:
///   compressed-tensors, packed: `weight_packed [out, in / per]`, `weight_scale [out, groups]`, `weight_shape`, of
///     asymmetric ones `weight_zero_point [out / per, groups]`, of permuted ones `weight_g_idx [in]`;
///   compressed-tensors, int8: `weight [out, in]`, `weight_scale [out, groups]` or `[1]`, `weight_zero_point`;
///   GPTQ: `qweight [in / per, out]`, `qzeros [groups, out / per]` (one less than the zero point, save in gptq_v2),
///     `scales [groups, out]`, `g_idx [in]`;
///   AWQ: `qweight [in, out / 8]`, `qzeros [groups, out / 8]`, `scales [groups, out]`, the eight of an int32 in the
///     order 0 2 4 6 1 3 5 7.
/// Every shape is checked against the others; faults are StartupErrors that name file and tensor.
class QuantizedReader {
 public:
  /// `checkpoint` must outlive it.
  QuantizedReader(const Checkpoint& checkpoint, const QuantizationConfig& config)
      : checkpoint_(&checkpoint),
        method_(config.method),
        group_size_(config.group_size),
        zeros_less_one_(config.zeros_less_one) {}

  [[nodiscard]] bool has(const std::string& weight) const;
  /// Of the matrix that it stands for: [out, in].
  [[nodiscard]] Shape shape(const std::string& weight) const;
  [[nodiscard]] int bits(const std::string& weight) const;
  /// Everything but the values, which its `read_rows` reads.
  [[nodiscard]] QuantizedMatrix read(const std::string& weight) const;
  /// The names of all tensors that the matrix is made of.
  [[nodiscard]] std::vector<std::string> tensors(const std::string& weight) const;

 private:
  enum class Form : std::uint8_t { kNone, kPacked, kInt8, kGptq, kAwq };
  struct Layout {
    Form form = Form::kNone;
    std::int64_t rows = 0;
    std::int64_t columns = 0;
    int bits = 8;
  };
  [[nodiscard]] Form form_of(const std::string& weight) const;
  [[nodiscard]] Layout layout_of(const std::string& weight) const;
  [[nodiscard]] TensorView integers(const std::string& name, DType dtype, const Shape& shape) const;
  /// `[groups, out]` of GPTQ and AWQ, else `[out, groups]`, as the latter.
  [[nodiscard]] std::vector<float> scales(const std::string& name, const Layout& layout, std::int64_t& groups) const;
  [[nodiscard]] ReadQuantizedRows row_reader(const std::string& weight, const Layout& layout) const;
  void read_zeros(const std::string& weight, const Layout& layout, QuantizedMatrix& matrix) const;
  void read_group_indices(const std::string& name, QuantizedMatrix& matrix) const;
  [[noreturn]] void refuse(const std::string& name, const std::string& why) const;

  const Checkpoint* checkpoint_;
  std::string method_;
  std::int64_t group_size_ = 0;
  bool zeros_less_one_ = true;
};

}  // namespace krait
