#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>

#include "fake_platform.h"
#include "kernels/result.h"
#include "models/backends/selective_state_update.h"

using namespace krait;

namespace {

std::string initialize_error(const MambaConfig& config) {
  SelectiveStateUpdateDispatcher dispatcher;
  try {
    dispatcher.initialize(config);
  } catch (const StartupError& error) {
    return error.what();
  }
  return "";
}

MambaConfig with_backend(const std::string& name) {
  MambaConfig config;
  config.backend = name;
  return config;
}

std::vector<float> random_values(std::mt19937& generator, std::size_t count) {
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(generator);
  return values;
}

}  // namespace

TEST_CASE("the state update is native by default, and by name in any case") {
  for (const MambaConfig& config :
       {MambaConfig{}, with_backend("native"), with_backend("NATIVE"), with_backend("Native")}) {
    SelectiveStateUpdateDispatcher dispatcher;
    dispatcher.initialize(config);
    CHECK(dispatcher.get().name() == "native");
  }
}

TEST_CASE("two dispatchers of one process do not see each other") {
  SelectiveStateUpdateDispatcher first;
  SelectiveStateUpdateDispatcher second;
  first.initialize({});
  CHECK(first.get().name() == "native");
  CHECK_THROWS_WITH(second.get(), "Mamba SSU backend has not been initialized.");
}

TEST_CASE("flashinfer is known in any case, an unknown name is refused with the valid ones") {
  for (const char* name : {"flashinfer", "FlashInfer"}) {
    SelectiveStateUpdateDispatcher dispatcher;
    dispatcher.initialize(with_backend(name));
    CHECK(dispatcher.get().name() == "flashinfer");
  }
  CHECK(initialize_error(with_backend("triton")) ==
        "Unknown Mamba SSU backend: 'triton'. Valid options are: native, flashinfer");
}

TEST_CASE("a call of 2 x 64 x 16 equals the recurrence written out") {
  constexpr int kBatch = 2;
  constexpr int kDim = 64;
  constexpr int kState = 16;
  std::mt19937 generator(11);
  auto state = random_values(generator, (kBatch + 1) * kDim * kState);
  auto x = random_values(generator, kBatch * kDim);
  auto dt = random_values(generator, kBatch * kDim);
  auto z = random_values(generator, kBatch * kDim);
  auto b = random_values(generator, kBatch * kState);
  auto c = random_values(generator, kBatch * kState);
  auto a = random_values(generator, kDim * kState);
  auto d = random_values(generator, kDim);
  auto dt_bias = random_values(generator, kDim);
  for (float& value : a) value = -std::exp(value);

  std::vector<double> expected_state(state.begin(), state.end());
  std::vector<double> expected(kBatch * kDim);
  for (int i = 0; i < kBatch; ++i) {
    for (int p = 0; p < kDim; ++p) {
      const double step = std::log1p(std::exp(static_cast<double>(dt[i * kDim + p]) + dt_bias[p]));
      double sum = 0;
      for (int n = 0; n < kState; ++n) {
        double& s = expected_state[((i + 1) * kDim + p) * kState + n];
        s = s * std::exp(step * a[p * kState + n]) + step * b[i * kState + n] * x[i * kDim + p];
        sum += s * c[i * kState + n];
      }
      const double gate = z[i * kDim + p];
      expected[i * kDim + p] = (sum + d[p] * x[i * kDim + p]) * gate / (1 + std::exp(-gate));
    }
  }

  test::HookedPlatform platform;
  const auto queue = platform.create_queue();
  std::vector<float> y(kBatch * kDim);
  const std::vector<std::int32_t> slots{1, 2};
  SelectiveStateUpdateArgs args;
  args.x = {x.data(), DType::kFloat32, {kBatch, kDim}};
  args.dt = {dt.data(), DType::kFloat32, {kBatch, kDim}};
  args.dt_per_row = true;
  args.b = {b.data(), DType::kFloat32, {kBatch, kState}};
  args.c = {c.data(), DType::kFloat32, {kBatch, kState}};
  args.z = {z.data(), DType::kFloat32, {kBatch, kDim}};
  args.a = a.data();
  args.a_stride_head = 0;
  args.a_stride_row = kState;
  args.a_stride_state = 1;
  args.d = d.data();
  args.d_stride_head = 0;
  args.d_stride_row = 1;
  args.dt_bias = dt_bias.data();
  args.dt_max = std::numeric_limits<float>::infinity();
  args.heads = 1;
  args.head_dim = kDim;
  args.state_size = kState;
  args.state_read = slots;
  args.state_write = slots;
  args.state.recurrent = reinterpret_cast<std::byte*>(state.data());
  args.state.slot_stride = kDim * kState * sizeof(float);
  args.y = {y.data(), DType::kFloat32, {kBatch, kDim}};
  SelectiveStateUpdateDispatcher dispatcher;
  dispatcher.initialize({});
  dispatcher.get().update(queue->ops(), args);

  for (std::size_t i = 0; i < y.size(); ++i) CHECK(y[i] == Approx(expected[i]).margin(1e-5));
  for (std::size_t i = kDim * kState; i < state.size(); ++i) CHECK(state[i] == Approx(expected_state[i]).margin(1e-5));
}
