#include <catch2/catch.hpp>
#include <string>

#include "kernels/cuda/flashinfer/flashinfer.h"
#include "kernels/cuda/flashinfer/flashinfer_forms.h"
#include "tests/emulation/emulated_device.h"

// Which operations FlashInfer's kernels are given, in any build; that they compute them right only a GPU shows
// (tests/gpu).

namespace krait::cuda {
namespace {

template <typename Form>
std::string refusal(const Device& device, const Form& form) {
  const Status status = flashinfer_takes(device, form);
  return status.ok() ? "" : status.error().message;
}

const AttentionForm kAttention{.heads = 8, .kv_heads = 2, .head_dim = 128, .cache_dtype = DType::kBFloat16};
const StateUpdateForm kUpdate{.head_dim = 64, .state_size = 128, .state_dtype = DType::kFloat32};

}  // namespace

TEST_CASE("FlashInfer is given 16-bit caches and heads that it is built for") {
  const auto device = test::make_emulated_device();
  CHECK(refusal(*device, kAttention).empty());
  const auto with = [&](auto change) {
    AttentionForm form = kAttention;
    change(form);
    return refusal(*device, form);
  };
  CHECK(with([](AttentionForm& form) { form.cache_dtype = DType::kFloat16; }).empty());
  CHECK(
      with([](AttentionForm& form) { form.head_dim = 80; }) ==
      "FlashInfer's kernels are built for heads of 64, 128 or 256 channels, and these have 80. Valid options here are: "
      "native");
  CHECK(with([](AttentionForm& form) { form.cache_dtype = DType::kInt8; }).find("--kv-cache-dtype is int8") !=
        std::string::npos);
  CHECK(with([](AttentionForm& form) { form.latent = true; }).find("latent") != std::string::npos);
  CHECK(with([](AttentionForm& form) { form.soft_cap = true; }).find("cap of the logits") != std::string::npos);
  CHECK(with([](AttentionForm& form) { form.sinks = true; }).find("sinks") != std::string::npos);
}

TEST_CASE("FlashInfer is given state updates with one decay a head, without limits of dt") {
  const auto device = test::make_emulated_device();
  CHECK(refusal(*device, kUpdate).empty());
  const auto with = [&](auto change) {
    StateUpdateForm form = kUpdate;
    change(form);
    return refusal(*device, form);
  };
  CHECK(with([](StateUpdateForm& form) { form.state_dtype = DType::kFloat16; }).empty());
  CHECK(with([](StateUpdateForm& form) { form.element_decay = true; }).find("Mamba-1") != std::string::npos);
  CHECK(with([](StateUpdateForm& form) { form.dt_limit = true; }).find("`time_step_limit`") != std::string::npos);
  CHECK(with([](StateUpdateForm& form) { form.head_dim = 32; }).find("64 or 128 channels, and these have 32") !=
        std::string::npos);
  CHECK(with([](StateUpdateForm& form) { form.state_size = 96; }).find("64, 128 or 256, and these have 96") !=
        std::string::npos);
}

TEST_CASE("a build without FlashInfer says how to get it") {
  const auto device = test::make_emulated_device();
  const Status status = flashinfer_supports(*device, kAttention);
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().message.find("-DKRAIT_FLASHINFER=ON") != std::string::npos);
  CHECK(status.error().message.find("Valid options are: native") != std::string::npos);
}

}  // namespace krait::cuda
