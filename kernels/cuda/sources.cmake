# The CUDA platform: kernels (compiled by nvcc for a device, as C++ for the emulated grid) and the host side over them, and what
# needs CUDA's own libraries.
set(KRAIT_CUDA_KERNELS
  cuda/attention/attention_float.cu
  cuda/attention/attention_merge.cu
  cuda/attention/write_kv.cu
  cuda/delta/delta_rule.cu
  cuda/elementwise/elementwise.cu
  cuda/linear/epilogue.cu
  cuda/linear_attention/linear_attention.cu
  cuda/norm/rms_norm.cu
  cuda/rg_lru/rg_lru.cu
  cuda/sampling/draw.cu
  cuda/sampling/logit_edits.cu
  cuda/sampling/logprobs.cu)
set(KRAIT_CUDA_HOST
  cuda/attention_operations.cpp
  cuda/convolution_operations.cpp
  cuda/cuda_operations.cpp
  cuda/cuda_platform.cpp
  cuda/cuda_weight.cpp
  cuda/elementwise_operations.cpp
  cuda/linear_operations.cpp
  cuda/matrix_scan_operations.cpp
  cuda/moe_operations.cpp
  cuda/sampling_operations.cpp
  cuda/scan_operations.cpp
  cuda/step_stage.cpp)
