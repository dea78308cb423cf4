#include "kernels/cuda/cuda_weight.h"

#include <cstring>
#include <utility>
#include <vector>

#include "kernels/cuda/quantized_weight.h"
#include "kernels/cuda/weight_uploader.h"
#include "kernels/view_checks.h"
#include "kernels/weight_parts.h"

namespace krait::cuda {
namespace {

WeightShape shape_of(const std::vector<WeightPart>& parts, const PackScheme& scheme, const Shard& shard) {
  const std::int64_t columns = parts.front().columns;
  WeightShape shape;
  if (scheme.quantization == Quantization::kNone) {
    shape.form = scheme.compute_dtype == DType::kFloat32 ? WeightForm::kFloat32 : WeightForm::kBFloat16;
    shape.columns = static_cast<int>(columns);
    shape.row_bytes = columns * static_cast<std::int64_t>(dtype_size(scheme.compute_dtype));
  } else {
    check_groups(scheme.group(), columns, shard);
    shape = quantized_shape(scheme.quantization, columns, scheme.group());
  }
  shape.gate_up = scheme.gate_up;
  for (const WeightPart& part : parts) shape.rows += static_cast<int>(part.rows);
  if (scheme.gate_up && (parts.size() != 2 || parts[0].rows != parts[1].rows)) {
    refuse_weight("gate and up must be two equal parts.");
  }
  return shape;
}

/// Rows of the compute type.
void upload_floats(const std::vector<WeightPart>& parts, CudaWeight& weight, WeightUploader& uploader) {
  const WeightShape& shape = weight.shape;
  weight.values = uploader.device().allocate(static_cast<std::size_t>(shape.rows * shape.row_bytes));
  weight.view.values = weight.values.data.get();
  auto* to = static_cast<std::byte*>(weight.values.data.get());
  for (const WeightPart& part : parts) {
    const std::size_t bytes = static_cast<std::size_t>(part.columns) * dtype_size(part.view.dtype);
    const auto write = [&](std::int64_t begin, std::int64_t end, std::byte* at) {
      for (std::int64_t r = begin; r < end; ++r, at += bytes) std::memcpy(at, part.row_bytes(r), bytes);
    };
    uploader.upload(to, weight.compute_dtype, part.rows, part.columns, part.view.dtype, write);
    to += part.rows * shape.row_bytes;
  }
  uploader.finish();
}

void upload_bias(const std::vector<WeightPart>& parts, CudaWeight& weight, WeightUploader& uploader) {
  std::vector<float> bias;
  for (const WeightPart& part : parts) {
    for (std::int64_t r = 0; r < part.rows; ++r) bias.push_back(part.bias_at(r));
  }
  weight.bias = uploader.copy(bias.data(), bias.size() * sizeof(float));
  weight.view.bias = static_cast<const float*>(weight.bias.data.get());
}

}  // namespace

PackedWeight pack_weight(const WeightSource& source, const PackScheme& scheme, const Shard& shard,
                         WeightUploader& uploader) {
  if (!source.quantized.empty() && scheme.quantization == Quantization::kNone) KRAIT_BUG("quantised parts of no form");
  const std::vector<TensorView> biases = bias_rows(source, shard);
  const std::vector<WeightPart> parts = shard_parts(source, shard, biases);
  auto weight = std::make_shared<CudaWeight>();
  weight->compute_dtype = scheme.compute_dtype;
  weight->shape = shape_of(parts, scheme, shard);
  if (scheme.quantization == Quantization::kNone) {
    upload_floats(parts, *weight, uploader);
  } else {
    upload_quantized(parts, scheme, *weight, uploader);
  }
  if (!biases.empty()) upload_bias(parts, *weight, uploader);
  const WeightShape& shape = weight->shape;
  const std::size_t bytes =
      weight->values.bytes + weight->scales.bytes + weight->units.bytes + weight->zeros.bytes + weight->bias.bytes;
  return PackedWeight(weight, shape.rows, shape.columns, bytes);
}

const CudaWeight& cuda_weight(const PackedWeight& weight) {
  const auto* storage = dynamic_cast<const CudaWeight*>(&weight.storage());
  require(storage != nullptr, "a weight of another platform");
  return *storage;
}

}  // namespace krait::cuda
