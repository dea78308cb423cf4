#include "kernels/cpu/cpu_operations.h"

#include <cstring>

#include "kernels/cpu/cpu_memory.h"
#include "kernels/cpu/cpu_weight.h"
#include "kernels/cpu/sampler.h"
#include "kernels/cpu/view_checks.h"

namespace krait::cpu {

float* ScratchBuffer::ensure(Index floats) {
  const auto bytes = static_cast<std::size_t>(floats) * sizeof(float);
  if (bytes > buffer_.bytes) {
    buffer_ = {};
    buffer_ = allocate_buffer(bytes + bytes / 4);
  }
  return static_cast<float*>(buffer_.data.get());
}

CpuOperations::CpuOperations(const KernelTable& kernels, ThreadPool& pool)
    : kernels_(kernels), pool_(pool), workers_(static_cast<std::size_t>(pool.size())) {}

std::vector<float*> CpuOperations::worker_scratch(Index floats) {
  std::vector<float*> scratch;
  scratch.reserve(workers_.size());
  for (ScratchBuffer& worker : workers_) scratch.push_back(worker.ensure(floats));
  return scratch;
}

void CpuOperations::quantized_embedding(const EmbeddingArgs& args) {
  const auto tokens = static_cast<Index>(args.ids.size());
  const auto* storage = dynamic_cast<const CpuWeight*>(&args.weight->storage());
  require(storage != nullptr, "a weight of another platform");
  const PanelWeight& table = storage->panels();
  require(table.layout == WeightLayout::kInt8 || table.layout == WeightLayout::kInt4, "an unquantised weight as table");
  require(!table.gate_up, "gate and up as a table");
  for (const std::int32_t id : args.ids) require(id >= 0 && id < table.n, "a token id outside the table");
  const QuantizedEmbeddingKernelArgs kernel{.table = table,
                                            .ids = args.ids.data(),
                                            .multiplier = args.multiplier,
                                            .out = matrix(args.out, tokens, table.k, "embedding out")};
  pool_.parallel_for(tokens, [&](Index begin, Index end, int) { kernels_.quantized_embedding(kernel, begin, end); });
}

void CpuOperations::embedding(const EmbeddingArgs& args) {
  if (args.weight != nullptr) return quantized_embedding(args);
  const auto tokens = static_cast<Index>(args.ids.size());
  const Index hidden = args.table.columns();
  require(is_kernel_float(args.table.dtype), "embedding table dtype");
  for (const std::int32_t id : args.ids) require(id >= 0 && id < args.table.rows(), "a token id outside the table");
  const EmbeddingKernelArgs kernel{.table = args.table.as<const std::byte>(),
                                   .dtype = args.table.dtype,
                                   .stride = args.table.row_stride,
                                   .hidden = hidden,
                                   .ids = args.ids.data(),
                                   .multiplier = args.multiplier,
                                   .out = matrix(args.out, tokens, hidden, "embedding out")};
  pool_.parallel_for(tokens, [&](Index begin, Index end, int) { kernels_.embedding(kernel, begin, end); });
}

void CpuOperations::add_rms_norm(const AddRmsNormArgs& args) {
  const Index tokens = args.residual.rows();
  const Index hidden = args.residual.columns();
  AddRmsNormKernelArgs kernel{.residual = matrix(args.residual, tokens, hidden, "residual"),
                              .add = {},
                              .add_scale = args.add_scale,
                              .weight = vector_or_null(args.weight, hidden, "norm weight"),
                              .eps = args.eps,
                              .out = matrix(args.out, tokens, hidden, "norm out"),
                              .hidden = hidden};
  if (args.add.data != nullptr) kernel.add = const_matrix(args.add, tokens, hidden, "add");
  pool_.parallel_for(tokens, [&](Index begin, Index end, int) { kernels_.add_rms_norm(kernel, begin, end); });
}

void CpuOperations::gated_rms_norm(const GatedRmsNormArgs& args) {
  const Index tokens = args.y.rows();
  const Index channels = args.y.columns();
  require(args.groups > 0 && channels % args.groups == 0, "norm groups");
  require(args.activation == Activation::kSilu || args.activation == Activation::kSigmoid,
          "activation of a gated norm");
  const bool shared = args.groups > 1 && args.weight.data != nullptr && args.weight.shape.elements() != channels;
  const Index weights = shared ? channels / args.groups : channels;
  const GatedRmsNormKernelArgs kernel{.y = const_matrix(args.y, tokens, channels, "y"),
                                      .z = const_matrix(args.z, tokens, channels, "z"),
                                      .weight = vector_or_null(args.weight, weights, "gated norm weight"),
                                      .shared_weight = shared,
                                      .activation = args.activation,
                                      .groups = args.groups,
                                      .eps = args.eps,
                                      .order = args.order,
                                      .out = matrix(args.out, tokens, channels, "gated norm out"),
                                      .channels = channels};
  pool_.parallel_for(tokens, [&](Index begin, Index end, int) { kernels_.gated_rms_norm(kernel, begin, end); });
}

void CpuOperations::gather_rows(const GatherRowsArgs& args) {
  const auto count = static_cast<Index>(args.indices.size());
  const Index columns = args.x.columns();
  const ConstRows x = const_matrix(args.x, 0, columns, "rows");
  const Rows out = matrix(args.out, count, columns, "gathered rows");
  const auto bytes = static_cast<std::size_t>(columns) * sizeof(float);
  for (const std::int32_t index : args.indices)
    require(index >= 0 && index < args.x.rows(), "a row index outside of x");
  const auto copy = [&](Index begin, Index end, int) {
    for (Index i = begin; i < end; ++i) {
      const Index index = args.indices[static_cast<std::size_t>(i)];
      std::memcpy(out.data + i * out.stride, x.data + index * x.stride, bytes);
    }
  };
  // Waking the threads costs more than copying a few rows.
  constexpr Index kSerialElements = 32768;
  if (count * columns <= kSerialElements) return copy(0, count, 0);
  pool_.parallel_for(count, copy);
}

void CpuOperations::sample(const SampleArgs& args) {
  const auto rows = static_cast<Index>(args.rows.size());
  const Index vocab = args.logits.columns();
  const Rows logits = matrix(args.logits, rows, vocab, "logits");
  require(args.out.size() >= args.rows.size(), "sampled tokens");
  pool_.parallel_for(rows, [&](Index begin, Index end, int) {
    for (Index i = begin; i < end; ++i) {
      const auto index = static_cast<std::size_t>(i);
      args.out[index] =
          sample_row(kernels_, {logits.data + i * logits.stride, static_cast<std::size_t>(vocab)}, args.rows[index]);
    }
  });
}

}  // namespace krait::cpu
