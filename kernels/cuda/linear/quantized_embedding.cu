#include "kernels/cuda/linear/quantized_embedding.h"

#include "kernels/cuda/linear/octets.cuh"

namespace krait::cuda {
namespace {

constexpr int kThreads = 128;

template <WeightForm Form>
__global__ void __launch_bounds__(kThreads) embedding_kernel(const QuantizedEmbedding args) {
  const std::int64_t token = blockIdx.x;
  const int octet = static_cast<int>(blockIdx.y * kThreads + threadIdx.x);
  const int first = octet * kOctet;
  if (first >= args.shape.columns) return;
  const int id = args.ids[token];
  const WeightRow row = weight_row<Form>(args.shape, args.table, id);
  const int group = octet / kBlockOctets >> args.shape.group_shift;
  const float scale = to_float(row.scales[group]) * args.table.units[id];
  float values[kOctet];
  weight_octet<Form>(row, octet, group, args.shape.columns, values);
  float* out = args.out.data + token * args.out.stride + first;
  UNROLL for (int i = 0; i < kOctet; ++i) {
    if (first + i < args.shape.columns) out[i] = args.multiplier * (values[i] * scale);
  }
}

}  // namespace

void quantized_embedding(const QuantizedEmbedding& args, Stream stream) {
  if (args.tokens == 0) return;
  const Launch how{.grid = {static_cast<unsigned>(args.tokens), blocks_for(args.shape.columns, kThreads * kOctet)},
                   .block = {kThreads},
                   .stream = stream};
  if (args.shape.form == WeightForm::kInt4) return launch(embedding_kernel<WeightForm::kInt4>, how, args);
  launch(embedding_kernel<WeightForm::kInt8>, how, args);
}

}  // namespace krait::cuda
