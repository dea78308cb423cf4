#include "kernels/cuda/quantized_weight.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/quantize_rows.h"

namespace krait::cuda {
namespace {

/// Octets of a block of 16-byte loads: 64 inputs of int8, 128 of int4.
constexpr std::int64_t octets_of_step(WeightForm form) { return form == WeightForm::kInt4 ? 16 : 8; }

/// A row in the order of WeightForm; `values` are padded to whole steps.
void arrange_row(WeightForm form, const std::int8_t* values, std::int64_t octets, std::byte* to) {
  for (std::int64_t octet = 0; octet < octets; ++octet) {
    const std::int8_t* from = values + octet * 8;
    if (form == WeightForm::kInt8) {
      const std::int64_t place = (octet & ~7) | (octet & 3) << 1 | (octet >> 2 & 1);
      std::memcpy(to + place * 8, from, 8);
      continue;
    }
    const std::int64_t place = (octet & ~15) | (octet & 3) << 2 | (octet >> 2 & 3);
    std::uint32_t word = 0;
    for (int i = 0; i < 8; ++i) word |= static_cast<std::uint32_t>(from[i] & 15) << (4 * (i / 2) + 16 * (i % 2));
    std::memcpy(to + place * 4, &word, sizeof(word));
  }
}

/// Brings parts onto the device one after another; their scales are collected and go last.
class QuantizedUpload {
 public:
  QuantizedUpload(const PackScheme& scheme, CudaWeight& weight, WeightUploader& uploader)
      : scheme_(&scheme), weight_(&weight), uploader_(&uploader) {}

  /// Rows of the weight from `first` on.
  void add(const WeightPart& part, std::int64_t first) {
    if (part.quantized != nullptr) {
      const QuantizedPart& source = *part.quantized;
      const std::int64_t all = (source.columns + scheme_->group() - 1) / scheme_->group();
      const std::int64_t group = part.column_begin / scheme_->group();
      for (std::int64_t r = 0; r < part.rows; ++r) {
        const std::int64_t at = (part.row_begin + r) * all + group;
        add_scales(first + r, source.scales + at, source.zeros == nullptr ? nullptr : source.zeros + at);
      }
      const auto read = [&](std::int64_t begin, std::int64_t count, std::vector<std::int8_t>& to) {
        to.resize(static_cast<std::size_t>(count * source.columns));
        source.read_rows(part.row_begin + begin, count, to.data());
      };
      return upload_rows(first, part.rows, source.columns, part.column_begin, read);
    }
    // Rounded some rows at a time: the integers of a whole matrix would be held twice.
    const std::int64_t step = std::max<std::int64_t>(16, kRoundedValues / std::max<std::int64_t>(part.columns, 1));
    const TensorView shard =
        part.view.slice_rows(part.row_begin, part.rows).slice_columns(part.column_begin, part.columns);
    for (std::int64_t begin = 0; begin < part.rows; begin += step) {
      const std::int64_t count = std::min(step, part.rows - begin);
      const QuantizedRows rounded =
          quantize_rows(shard.slice_rows(begin, count), scheme_->quantization, scheme_->group(), uploader_->pool());
      const std::int64_t groups = (part.columns + scheme_->group() - 1) / scheme_->group();
      for (std::int64_t r = 0; r < count; ++r)
        add_scales(first + begin + r, rounded.scales.data() + r * groups, nullptr);
      const auto read = [&](std::int64_t from, std::int64_t rows, std::vector<std::int8_t>& to) {
        const std::int8_t* values = rounded.values.data() + from * part.columns;
        to.assign(values, values + rows * part.columns);
      };
      upload_rows(first + begin, count, part.columns, 0, read);
    }
  }

  void add_scales_and_zeros(bool has_zeros) {
    weight_->scales = uploader_->copy(scales_.data(), scales_.size() * sizeof(scales_[0]));
    weight_->units = uploader_->copy(units_.data(), units_.size() * sizeof(units_[0]));
    weight_->view.scales = static_cast<const std::uint16_t*>(weight_->scales.data.get());
    weight_->view.units = static_cast<const float*>(weight_->units.data.get());
    if (!has_zeros) return;
    weight_->zeros = uploader_->copy(zeros_.data(), zeros_.size());
    weight_->view.zeros = static_cast<const std::uint8_t*>(weight_->zeros.data.get());
  }

 private:
  static constexpr std::int64_t kRoundedValues = std::int64_t{32} << 20;
  /// Rows that are read from a checkpoint at once: its words hold several.
  static constexpr std::int64_t kReadRows = 16;

  /// Scales of the source's groups, for each of the weight's groups, which may be parts of one; zero in the padding.
  void add_scales(std::int64_t row, const float* scales, const std::uint8_t* zeros) {
    const WeightShape& shape = weight_->shape;
    const std::int64_t blocks = scheme_->group() / kScaleBlock;
    const std::int64_t groups = (shape.columns + scheme_->group() - 1) / scheme_->group();
    const float unit = scale_unit(scales, groups);
    units_.resize(static_cast<std::size_t>(shape.rows));
    scales_.resize(static_cast<std::size_t>(shape.rows) * static_cast<std::size_t>(shape.groups));
    zeros_.resize(scales_.size(), 8);
    units_[static_cast<std::size_t>(row)] = unit;
    for (std::int64_t g = 0; g < shape.groups; ++g) {
      const std::int64_t from = (g << shape.group_shift) / blocks;
      if (from >= groups) break;
      const auto at = static_cast<std::size_t>(row * shape.groups + g);
      scales_[at] = float_to_float16(scales[from] / unit);
      if (zeros != nullptr) zeros_[at] = zeros[from];
    }
  }

  template <typename Read>
  void upload_rows(std::int64_t first, std::int64_t rows, std::int64_t width, std::int64_t column, const Read& read) {
    const WeightShape& shape = weight_->shape;
    const std::int64_t step = octets_of_step(shape.form);
    const std::int64_t octets = (shape.columns + 8 * step - 1) / (8 * step) * step;
    const auto write = [&](std::int64_t begin, std::int64_t end, std::byte* to) {
      std::vector<std::int8_t> values;
      std::vector<std::int8_t> padded(static_cast<std::size_t>(octets * 8));
      for (std::int64_t r = begin; r < end; r += kReadRows) {
        const std::int64_t count = std::min(kReadRows, end - r);
        read(r, count, values);
        for (std::int64_t i = 0; i < count; ++i, to += shape.row_bytes) {
          std::copy_n(values.data() + i * width + column, shape.columns, padded.data());
          arrange_row(shape.form, padded.data(), octets, to);
        }
      }
    };
    uploader_->upload(static_cast<std::byte*>(weight_->values.data.get()) + first * shape.row_bytes, rows,
                      static_cast<std::size_t>(shape.row_bytes), write);
  }

  const PackScheme* scheme_;
  CudaWeight* weight_;
  WeightUploader* uploader_;
  std::vector<std::uint16_t> scales_;
  std::vector<float> units_;
  std::vector<std::uint8_t> zeros_;
};

}  // namespace

WeightShape quantized_shape(Quantization quantization, std::int64_t columns, int group_size) {
  WeightShape shape{.form = quantization == Quantization::kInt4 ? WeightForm::kInt4 : WeightForm::kInt8};
  const std::int64_t step = octets_of_step(shape.form) * 8;
  const std::int64_t padded = (columns + step - 1) / step * step;
  shape.columns = static_cast<int>(columns);
  shape.row_bytes = shape.form == WeightForm::kInt4 ? padded / 2 : padded;
  // Groups of 2^n blocks are found by a shift: of others the scale is repeated.
  shape.group_shift = std::countr_zero(static_cast<unsigned>(group_size / kScaleBlock));
  const std::int64_t blocks = padded / kScaleBlock;
  shape.groups = static_cast<int>((blocks + (1 << shape.group_shift) - 1) >> shape.group_shift);
  return shape;
}

void upload_quantized(const std::vector<WeightPart>& parts, const PackScheme& scheme, CudaWeight& weight,
                      WeightUploader& uploader) {
  weight.values = uploader.device().allocate(static_cast<std::size_t>(weight.shape.rows) *
                                             static_cast<std::size_t>(weight.shape.row_bytes));
  weight.view.values = weight.values.data.get();
  QuantizedUpload upload(scheme, weight, uploader);
  std::int64_t first = 0;
  bool has_zeros = false;
  for (const WeightPart& part : parts) {
    upload.add(part, first);
    first += part.rows;
    has_zeros = has_zeros || (part.quantized != nullptr && part.quantized->zeros != nullptr);
  }
  upload.add_scales_and_zeros(has_zeros);
  uploader.finish();
}

}  // namespace krait::cuda
