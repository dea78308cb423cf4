#pragma once

#include "kernels/dtype.h"
#include "kernels/kernel_library.h"
#include "kernels/platform.h"
#include "models/backends/mamba_config.h"
#include "models/layers/parallel_context.h"

namespace krait {

/// What every layer is constructed with. No weights: a model can be built, asked for its layers, and thrown away
/// (`krait info`).
struct LayerContext {
  const Platform& platform;
  MambaConfig mamba;
  ParallelContext parallel;
  DType kv_cache_dtype = DType::kFloat32;
  /// `mamba_ssm_dtype` of the checkpoint, else float32: what "auto" means.
  DType auto_ssm_dtype = DType::kFloat32;
  KernelLibrary attention_library = KernelLibrary::kNative;  ///< --attention-backend

  [[nodiscard]] DType ssm_dtype() const { return mamba.ssm_cache_dtype.value_or(auto_ssm_dtype); }
  [[nodiscard]] DType conv_dtype() const { return mamba.conv_cache_dtype.value_or(DType::kFloat32); }
};

}  // namespace krait
