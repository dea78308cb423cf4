#include "kernels/cuda/flashinfer/flashinfer_forms.h"

#include <algorithm>
#include <array>
#include <string>

namespace krait::cuda {
namespace {

/// What the kernels are instantiated for.
constexpr std::array kAttentionDims{64, 128, 256};
constexpr std::array kUpdateDims{64, 128};
constexpr std::array kStateSizes{64, 128, 256};
constexpr int kOldestArchitecture = 90;

Status refuse(const std::string& why) {
  return Error{.code = ErrorCode::kUnsupported,
               .message = "FlashInfer's kernels " + why + ". Valid options here are: native",
               .field = {}};
}

template <std::size_t N>
bool is_one_of(const std::array<int, N>& values, int value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

template <std::size_t N>
std::string list(const std::array<int, N>& values) {
  std::string text;
  for (std::size_t i = 0; i < N; ++i) text += (i == 0 ? "" : i + 1 == N ? " or " : ", ") + std::to_string(values[i]);
  return text;
}

bool is_too_old(const Device& device) { return device.architecture() < kOldestArchitecture; }

Status refuse_device(const Device& device) {
  return refuse("are built for compute capability 9.0 and newer, and " + device.name() + " has " +
                std::to_string(device.architecture() / 10) + "." + std::to_string(device.architecture() % 10));
}

}  // namespace

Status flashinfer_takes(const Device& device, const AttentionForm& form) {
  if (is_too_old(device)) return refuse_device(device);
  if (form.latent) return refuse("do not compute latent attention here");
  if (form.soft_cap) return refuse("are built without a cap of the logits, which this attention has");
  if (form.sinks) return refuse("are built without sinks, which this attention has");
  if (form.cache_dtype != DType::kBFloat16 && form.cache_dtype != DType::kFloat16) {
    return refuse("read keys and values in bfloat16 or float16, and --kv-cache-dtype is " +
                  std::string(dtype_name(form.cache_dtype)));
  }
  if (!is_one_of(kAttentionDims, form.head_dim)) {
    return refuse("are built for heads of " + list(kAttentionDims) + " channels, and these have " +
                  std::to_string(form.head_dim));
  }
  return ok_status();
}

Status flashinfer_takes(const Device& device, const StateUpdateForm& form) {
  if (is_too_old(device)) return refuse_device(device);
  if (form.element_decay) return refuse("take one decay a head (Mamba-2), and Mamba-1 has one an element");
  if (form.dt_limit) return refuse("have no limits of dt, which this model states (`time_step_limit`)");
  if (!is_one_of(kUpdateDims, form.head_dim)) {
    return refuse("are built for heads of " + list(kUpdateDims) + " channels, and these have " +
                  std::to_string(form.head_dim));
  }
  if (!is_one_of(kStateSizes, form.state_size)) {
    return refuse("are built for states of " + list(kStateSizes) + ", and these have " +
                  std::to_string(form.state_size));
  }
  return ok_status();
}

}  // namespace krait::cuda
