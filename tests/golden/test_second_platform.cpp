#include <atomic>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "demo_model.h"
#include "kernels/cpu/cpu_platform.h"
#include "models/backends/mamba2/mamba2_recurrent_backend.h"
#include "models/backends/mamba_registry.h"

using namespace krait;
using namespace krait::test;

// A second platform with a mamba2 backend of its own: what a port has to bring, and no more.

namespace {

std::atomic<int> g_scans{0};

/// The recurrence in plain loops; the convolution is the platform's.
class PlainMamba2Backend final : public Mamba2RecurrentBackend {
 public:
  [[nodiscard]] std::string_view name() const override { return "plain_mamba2"; }

  void prefill(const BackendContext& /*context*/, const Mamba2Metadata& metadata, const Mamba2Parameters& parameters,
               const StateCacheView& state, const Mamba2Activations& activations) const override {
    run(metadata.prefill_batch(), parameters, state, activations);
  }
  void decode(const BackendContext& /*context*/, const Mamba2Metadata& metadata, const Mamba2Parameters& parameters,
              const StateCacheView& state, const Mamba2Activations& activations) const override {
    run(metadata.decode_batch(), parameters, state, activations);
  }

 private:
  static void run(const SequenceBatch& batch, const Mamba2Parameters& parameters, const StateCacheView& state,
                  const Mamba2Activations& activations) {
    ++g_scans;
    for (std::size_t i = 0; i < batch.state_read.size(); ++i) {
      auto* to = reinterpret_cast<float*>(state.recurrent +
                                          static_cast<std::size_t>(batch.state_write[i]) * state.slot_stride);
      const std::size_t bytes = sizeof(float) * static_cast<std::size_t>(parameters.intermediate_size()) *
                                static_cast<std::size_t>(parameters.state_size);
      const auto* from = state.recurrent + static_cast<std::size_t>(batch.state_read[i]) * state.slot_stride;
      if (batch.has_initial_state[i] == 0) {
        std::memset(to, 0, bytes);
      } else {
        std::memmove(to, from, bytes);
      }
      for (std::int32_t t = batch.query_start_loc[i]; t < batch.query_start_loc[i + 1]; ++t) {
        token(parameters, activations, t, to);
      }
    }
  }

  static void token(const Mamba2Parameters& p, const Mamba2Activations& in, std::int32_t t, float* state) {
    const float* x = in.x.row<float>(t);
    const float* b = in.b.row<float>(t);
    const float* c = in.c.row<float>(t);
    const float* dt = in.dt.row<float>(t);
    float* y = in.y.row<float>(t);
    for (int h = 0; h < p.heads; ++h) {
      const int group = h / (p.heads / p.groups);
      const float step = std::min(std::max(std::log1p(std::exp(dt[h] + p.dt_bias.as<float>()[h])), p.dt_min), p.dt_max);
      const float decay = std::exp(step * p.a.as<float>()[h]);
      for (int row = h * p.head_dim; row < (h + 1) * p.head_dim; ++row) {
        float sum = 0;
        for (int n = 0; n < p.state_size; ++n) {
          float& s = state[row * p.state_size + n];
          s = s * decay + step * x[row] * b[group * p.state_size + n];
          sum += s * c[group * p.state_size + n];
        }
        y[row] = sum + p.d.as<float>()[h] * x[row];
      }
    }
  }
};

class SecondPlatform final : public CpuPlatform {
 public:
  SecondPlatform() : CpuPlatform(CpuOptions{.threads = 2}) {}
  [[nodiscard]] std::string_view name() const override { return "second"; }
  [[nodiscard]] MambaBackendOpinion mamba_backend(std::string_view type,
                                                  std::optional<std::string_view>) const override {
    if (type != mamba_types::kMamba2) return {};
    return {.kind = MambaBackendOpinion::Kind::kBackend, .backend = "plain_mamba2", .reason = {}};
  }
};

/// Registers the backend for the length of a test.
struct Registration {
  Registration() {
    REQUIRE(MambaRegistry::instance()
                .register_backend({.name = "plain_mamba2",
                                   .types = {"mamba2"},
                                   .make = [] { return std::make_unique<PlainMamba2Backend>(); }})
                .ok());
  }
  ~Registration() { MambaRegistry::instance().unregister_backend("plain_mamba2"); }
};

}  // namespace

TEST_CASE("a second platform with its own mamba2 backend generates the demo text") {
  const Registration registration;
  LoadOptions options = demo_options();
  options.make_platform = [] { return std::make_unique<SecondPlatform>(); };
  const auto serving = ServingModel::load(options);
  CHECK(serving->summary().layer_kinds.front().backend == "plain_mamba2");
  g_scans = 0;
  for (const DemoCase& one : demo_cases()) {
    if (one.min_margin < 0.05 || (KRAIT_SANITIZED != 0 && one.ids.size() > 60)) continue;
    const auto request = demo_request("second", one.prompt, static_cast<int>(one.ids.size()));
    CHECK(read_all(*serving->engine().submit(request).value()).ids == one.ids);
  }
  CHECK(g_scans > 100);
}

TEST_CASE("start-up refuses what a platform, a flag or a model cannot do, with a sentence") {
  const auto error_of = [](const LoadOptions& options) {
    try {
      static_cast<void>(ServingModel::load(options));
    } catch (const StartupError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  class RefusingPlatform final : public CpuPlatform {
   public:
    RefusingPlatform() : CpuPlatform(CpuOptions{.threads = 1}) {}
    [[nodiscard]] MambaBackendOpinion mamba_backend(std::string_view, std::optional<std::string_view>) const override {
      return {.kind = MambaBackendOpinion::Kind::kRefuse, .backend = {}, .reason = "no state memory"};
    }
  };
  LoadOptions options = demo_options();
  options.make_platform = [] { return std::make_unique<RefusingPlatform>(); };
  CHECK(error_of(options) == "Mamba type 'mamba2' is not supported on platform 'cpu': no state memory");

  options = demo_options();
  options.mamba.attention_backends["mamba2"] = "mamba1";
  CHECK(error_of(options).find("does not serve type 'mamba2'") != std::string::npos);
  options.mamba.attention_backends = {{"mamba1", "mamba1"}};
  CHECK(error_of(options).find("the model has no layers of mamba type 'mamba1'") != std::string::npos);
  options.mamba.attention_backends = {{"rwkv", "rwkv"}};
  CHECK(error_of(options).find("Invalid mamba type: 'rwkv'") != std::string::npos);

  options = demo_options();
  options.mamba.backend = "flashinfer";
  CHECK(error_of(options).find("has no kernels of flashinfer. Valid options are: native") != std::string::npos);
  options = demo_options();
  options.mamba.enable_stochastic_rounding = true;
  CHECK(error_of(options).find("--enable-mamba-cache-stochastic-rounding rounds float16 states") != std::string::npos);
  options = demo_options();
  options.compute_dtype = DType::kInt8;
  CHECK(error_of(options).find("--compute-dtype int8 needs quantised weights") != std::string::npos);
  options = demo_options();
  options.max_model_len = 5000;
  CHECK(error_of(options).find("--max-model-len is 5000") != std::string::npos);
  options = demo_options();
  options.cache_memory.bytes = 1000;
  CHECK(error_of(options).find("--cache-memory gives 1000 bytes") != std::string::npos);
  options = demo_options();
  options.model_path = std::string(KRAIT_SOURCE_DIR) + "/tests/golden/models/llama";
  options.mamba.ssm_cache_dtype = DType::kFloat16;
  CHECK(error_of(options).find("--mamba-ssm-cache-dtype has no effect") != std::string::npos);
}
