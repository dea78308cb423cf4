#include "kernels/cuda/cuda_weight.h"

#include <cstring>
#include <utility>
#include <vector>

#include "kernels/view_checks.h"
#include "kernels/weight_parts.h"

namespace krait::cuda {
namespace {

/// The rows of all parts as the compute type, in host memory.
std::vector<std::byte> read_values(const std::vector<WeightPart>& parts, const CudaWeight& weight) {
  const auto columns = static_cast<std::size_t>(weight.shape.columns);
  std::vector<std::byte> values(static_cast<std::size_t>(weight.shape.rows * weight.shape.row_bytes));
  std::vector<float> row(columns);
  std::byte* to = values.data();
  for (const WeightPart& part : parts) {
    for (std::int64_t r = 0; r < part.rows; ++r) {
      if (part.view.dtype == weight.compute_dtype) {
        std::memcpy(to, part.row_bytes(r), columns * dtype_size(weight.compute_dtype));
        to += columns * dtype_size(weight.compute_dtype);
        continue;
      }
      part.read_row(r, row.data());
      for (const float value : row) {
        if (weight.compute_dtype == DType::kFloat32) {
          std::memcpy(to, &value, sizeof(value));
        } else {
          const std::uint16_t bits = float_to_bfloat16(value);
          std::memcpy(to, &bits, sizeof(bits));
        }
        to += dtype_size(weight.compute_dtype);
      }
    }
  }
  return values;
}

}  // namespace

Buffer upload(Device& device, Stream stream, const void* data, std::size_t bytes) {
  Buffer buffer = device.allocate(bytes);
  device.copy_to_device(buffer.data.get(), data, bytes, stream);
  device.wait(stream);
  return buffer;
}

PackedWeight pack_weight(const WeightSource& source, const PackScheme& scheme, const Shard& shard, Device& device,
                         Stream stream) {
  if (scheme.quantization != Quantization::kNone) refuse_weight("the CUDA platform has no quantised weights yet.");
  const std::vector<TensorView> biases = bias_rows(source, shard);
  const std::vector<WeightPart> parts = shard_parts(source, shard, biases);
  auto weight = std::make_shared<CudaWeight>();
  weight->compute_dtype = scheme.compute_dtype;
  WeightShape& shape = weight->shape;
  shape.form = scheme.compute_dtype == DType::kFloat32 ? WeightForm::kFloat32 : WeightForm::kBFloat16;
  shape.gate_up = scheme.gate_up;
  shape.columns = static_cast<int>(parts.front().columns);
  for (const WeightPart& part : parts) shape.rows += static_cast<int>(part.rows);
  shape.row_bytes = shape.columns * static_cast<std::int64_t>(dtype_size(scheme.compute_dtype));
  if (scheme.gate_up && (parts.size() != 2 || parts[0].rows != parts[1].rows)) {
    refuse_weight("gate and up must be two equal parts.");
  }
  const std::vector<std::byte> values = read_values(parts, *weight);
  weight->values = upload(device, stream, values.data(), values.size());
  weight->view.values = weight->values.data.get();
  if (!biases.empty()) {
    std::vector<float> bias;
    for (const WeightPart& part : parts) {
      for (std::int64_t r = 0; r < part.rows; ++r) bias.push_back(part.bias_at(r));
    }
    weight->bias = upload(device, stream, bias.data(), bias.size() * sizeof(float));
    weight->view.bias = static_cast<const float*>(weight->bias.data.get());
  }
  const std::size_t bytes = weight->values.bytes + weight->bias.bytes;
  return PackedWeight(std::move(weight), shape.rows, shape.columns, bytes);
}

const CudaWeight& cuda_weight(const PackedWeight& weight) {
  const auto* storage = dynamic_cast<const CudaWeight*>(&weight.storage());
  require(storage != nullptr, "a weight of another platform");
  return *storage;
}

}  // namespace krait::cuda
