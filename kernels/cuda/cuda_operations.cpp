#include "kernels/cuda/cuda_operations.h"

#include "kernels/cuda/elementwise/elementwise.h"
#include "kernels/cuda/linear/quantized_embedding.h"
#include "kernels/cuda/norm/rms_norm.h"
#include "kernels/cuda/view_checks.h"

namespace krait::cuda {

CudaOperations::CudaOperations(Device& device, Gemm& gemm, Stream stream)
    : device_(device),
      gemm_(gemm),
      stream_(stream),
      memory_(device),
      stage_(device, memory_, stream),
      flashinfer_(make_flashinfer(device, memory_, stage_, stream)),
      rounded_(memory_),
      products_(memory_),
      sampled_(memory_),
      host_results_(device),
      partials_(memory_),
      expert_tables_(device, memory_, stream),
      routing_(memory_),
      moe_inner_(memory_),
      moe_outer_(memory_),
      conv_rows_(memory_),
      chunk_operands_(memory_),
      ssd_memory_(memory_) {}

void CudaOperations::wait() {
  device_.wait(stream_);
  stage_.reset();
  if (flashinfer_ != nullptr) flashinfer_->reset();
}

void CudaOperations::embedding(const EmbeddingArgs& args) {
  const auto tokens = static_cast<std::int64_t>(args.ids.size());
  const CudaWeight* quantized = args.weight == nullptr ? nullptr : &cuda_weight(*args.weight);
  const std::int64_t rows = quantized == nullptr ? args.table.rows() : quantized->shape.rows;
  const std::int64_t hidden = quantized == nullptr ? args.table.columns() : quantized->shape.columns;
  for (const std::int32_t id : args.ids) require(id >= 0 && id < rows, "a token id outside the table");
  const Rows out = matrix(args.out, tokens, hidden, "embedding out");
  if (quantized != nullptr) {
    require(quantized->quantized() && !quantized->shape.gate_up, "a quantised table");
    return quantized_embedding({.shape = quantized->shape,
                                .table = quantized->view,
                                .ids = stage_.on_device(args.ids),
                                .multiplier = args.multiplier,
                                .out = out,
                                .tokens = static_cast<int>(tokens)},
                               stream_);
  }
  require(is_kernel_float(args.table.dtype), "embedding table dtype");
  cuda::embedding({.table = args.table.data,
                   .dtype = args.table.dtype,
                   .stride = args.table.row_stride,
                   .ids = stage_.on_device(args.ids),
                   .multiplier = args.multiplier,
                   .out = out,
                   .tokens = static_cast<int>(tokens),
                   .hidden = static_cast<int>(hidden)},
                  stream_);
}

void CudaOperations::add_rms_norm(const AddRmsNormArgs& args) {
  const std::int64_t tokens = args.residual.rows();
  const std::int64_t hidden = args.residual.columns();
  AddRmsNorm kernel{.residual = matrix(args.residual, tokens, hidden, "residual"),
                    .add = {},
                    .add_scale = args.add_scale,
                    .weight = vector_or_null(args.weight, hidden, "norm weight"),
                    .eps = args.eps,
                    .out = matrix(args.out, tokens, hidden, "norm out"),
                    .tokens = static_cast<int>(tokens),
                    .hidden = static_cast<int>(hidden)};
  if (args.add.data != nullptr) kernel.add = const_matrix(args.add, tokens, hidden, "add");
  cuda::add_rms_norm(kernel, stream_);
}

void CudaOperations::gated_rms_norm(const GatedRmsNormArgs& args) {
  const std::int64_t tokens = args.y.rows();
  const std::int64_t channels = args.y.columns();
  require(args.groups > 0 && channels % args.groups == 0, "norm groups");
  require(args.activation == Activation::kSilu || args.activation == Activation::kSigmoid,
          "activation of a gated norm");
  const bool shared = args.groups > 1 && args.weight.data != nullptr && args.weight.shape.elements() != channels;
  const std::int64_t weights = shared ? channels / args.groups : channels;
  cuda::gated_rms_norm({.y = const_matrix(args.y, tokens, channels, "y"),
                        .z = const_matrix(args.z, tokens, channels, "z"),
                        .weight = vector_or_null(args.weight, weights, "gated norm weight"),
                        .shared_weight = shared,
                        .activation = args.activation,
                        .groups = args.groups,
                        .eps = args.eps,
                        .order = args.order,
                        .out = matrix(args.out, tokens, channels, "gated norm out"),
                        .tokens = static_cast<int>(tokens),
                        .channels = static_cast<int>(channels)},
                       stream_);
}

}  // namespace krait::cuda
