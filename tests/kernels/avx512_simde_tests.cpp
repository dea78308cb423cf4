// Executes every AVX-512 kernel on any machine: see simde_avx512_kernels.cpp.
#include <catch2/catch.hpp>
#include <cmath>

#include "kernels/cpu/cpu_operations.h"
#include "kernels/cpu/cpu_weight.h"
#include "tests/kernels/activation_support.h"
#include "tests/kernels/scenarios.h"

namespace krait::cpu {

const KernelTable* simde_avx512_kernels();
GemmFn simde_avx512_gemm_pairs();
GemmFn simde_avx512_vnni_gemm_int8();

namespace {

/// Operations over one table.
struct TableMachine {
  ThreadPool pool{2};
  KernelTable table;
  CpuOperations ops;
  explicit TableMachine(const KernelTable& kernels, bool pairs = false) : table(kernels), ops(table, pool) {
    if (pairs) table.gemm_pairs = simde_avx512_gemm_pairs();
  }
  test::Bench bench() {
    return {ops, [this](const WeightSource& source, const PackScheme& scheme) {
              return pack_weight(source, scheme, {}, table, pool);
            }};
  }
};

}  // namespace

TEST_CASE("The AVX-512 kernels give the portable kernels' bits") {
  if (!detect_cpu_features().avx2) {
    WARN("SIMDe is built for AVX2, which this processor lacks: not run");
    return;
  }
  TableMachine portable(*portable_kernels());
  TableMachine avx512(*simde_avx512_kernels());
  for (const test::Scenario& scenario : test::scenarios()) {
    for (std::uint32_t seed = 1; seed <= 3; ++seed) {
      CAPTURE(scenario.name, seed);
      CHECK(test::same_bits(scenario.run(avx512.bench(), seed), scenario.run(portable.bench(), seed)));
    }
  }
}

TEST_CASE("The byte dot product of AVX-512 VNNI gives the portable kernels' bits") {
  if (!detect_cpu_features().avx2) return;
  TableMachine portable(*portable_kernels());
  TableMachine vnni(*simde_avx512_kernels());
  vnni.table.gemm_int8 = simde_avx512_vnni_gemm_int8();
  int found = 0;
  for (const test::Scenario& scenario : test::scenarios()) {
    if (std::string(scenario.name) != "quantised linear") continue;
    ++found;
    for (std::uint32_t seed = 1; seed <= 3; ++seed) {
      CAPTURE(seed);
      CHECK(test::same_bits(scenario.run(vnni.bench(), seed), scenario.run(portable.bench(), seed)));
    }
  }
  CHECK(found == 1);
}

TEST_CASE("AVX-512 elementary functions and conversions give the portable bits") {
  if (!detect_cpu_features().avx2) return;
  std::vector<float> in;
  for (int i = 0; i < 16000; ++i) in.push_back(-110.0F + 0.0125F * static_cast<float>(i));
  in[3] = INFINITY;
  in[4] = -INFINITY;
  const auto n = static_cast<Index>(in.size());
  for (const auto function :
       {VectorFunction::kExp, VectorFunction::kLog1p, VectorFunction::kSoftplus, VectorFunction::kSigmoid,
        VectorFunction::kSilu, VectorFunction::kTanh, VectorFunction::kErf, VectorFunction::kGelu,
        VectorFunction::kGeluTanh, VectorFunction::kRelu2}) {
    std::vector<float> positive = in;
    if (function == VectorFunction::kLog1p) {
      for (float& x : positive) x = std::abs(x);
    }
    std::vector<float> a(in.size()), b(in.size());
    portable_kernels()->map_function(function, positive.data(), a.data(), n);
    simde_avx512_kernels()->map_function(function, positive.data(), b.data(), n);
    CAPTURE(static_cast<int>(function));
    CHECK(test::same_bits(a, b));
  }
  std::vector<float> odd(in.begin(), in.end() - 3);
  odd[7] = NAN;
  for (const DType dtype : {DType::kBFloat16, DType::kFloat16}) {
    std::vector<std::uint16_t> a(odd.size()), b(odd.size());
    portable_kernels()->convert_row(dtype, true, odd.data(), a.data(), static_cast<Index>(odd.size()));
    simde_avx512_kernels()->convert_row(dtype, true, odd.data(), b.data(), static_cast<Index>(odd.size()));
    CAPTURE(dtype_name(dtype));
    CHECK(a == b);
  }
}

TEST_CASE("The bf16 dot product is close to the exact product and does not depend on the other rows") {
  if (!detect_cpu_features().avx2) return;
  TableMachine machine(*simde_avx512_kernels(), true);
  for (std::uint32_t seed = 1; seed <= 6; ++seed) {
    test::Random random(seed);
    const int n = random.integer(1, 100), k = random.integer(1, 200), rows = random.integer(1, 40);
    CAPTURE(seed, n, k, rows);
    const test::Matrix w = random.matrix(n, k);
    std::vector<std::byte> data = test::encode(w.data, DType::kBFloat16);
    const PackedWeight weight = machine.bench().pack({{TensorView(data.data(), DType::kBFloat16, Shape{n, k})}, {}},
                                                     {.compute_dtype = DType::kBFloat16});
    const test::Matrix x = random.matrix(rows, k);
    test::Matrix y(rows, n);
    machine.ops.linear({&weight, x.view(), y.view(), {}});
    std::vector<double> exact;
    for (int r = 0; r < rows; ++r) {
      for (int c = 0; c < n; ++c) {
        double sum = 0.0;
        for (int i = 0; i < k; ++i) {
          sum += static_cast<double>(test::round_to(x.at(r, i), DType::kBFloat16)) *
                 static_cast<double>(test::round_to(w.at(c, i), DType::kBFloat16));
        }
        exact.push_back(sum);
      }
    }
    CHECK(test::worst_error(y.data, exact) < 1e-5);
    for (int r = 0; r < rows; ++r) {
      const test::Matrix one = x.slice(r, r + 1);
      test::Matrix alone(1, n);
      machine.ops.linear({&weight, one.view(), alone.view(), {}});
      REQUIRE(test::same_bits(alone, y.slice(r, r + 1)));
    }
  }
}

TEST_CASE("The bf16 dot product has the same activations as the other products") {
  if (!detect_cpu_features().avx2) return;
  TableMachine machine(*simde_avx512_kernels(), true);
  std::uint32_t seed = 40;
  for (const Activation activation : test::activations()) {
    for (const bool gated : {false, true}) {
      test::Random random(++seed);
      const int n = random.integer(1, 60), k = random.integer(1, 70), rows = random.integer(1, 20);
      CAPTURE(static_cast<int>(activation), gated, n, k, rows);
      std::vector<std::vector<std::byte>> data;
      WeightSource source;
      for (int i = 0; i < (gated ? 2 : 1); ++i) {
        data.push_back(test::encode(random.matrix(n, k).data, DType::kBFloat16));
        source.parts.emplace_back(data.back().data(), DType::kBFloat16, Shape{n, k});
      }
      const auto pack = [&](bool gate_up) {
        return machine.bench().pack(source, {.compute_dtype = DType::kBFloat16, .gate_up = gate_up});
      };
      const PackedWeight plain = pack(false), weight = pack(gated);
      const test::Matrix x = random.matrix(rows, k);
      test::Matrix sums(rows, gated ? 2 * n : n), y(rows, n);
      machine.ops.linear({&plain, x.view(), sums.view(), {}});
      machine.ops.linear(
          {&weight, x.view(), y.view(), {.activation = activation, .gated = gated, .gate_scale = 1.0F, .scale = 0.5F}});
      std::vector<double> expected;
      for (int r = 0; r < rows; ++r) {
        for (int c = 0; c < n; ++c) {
          const double act = test::exact_activation(activation, static_cast<double>(sums.at(r, c)));
          expected.push_back(0.5 * act * (gated ? static_cast<double>(sums.at(r, n + c)) : 1.0));
        }
      }
      CHECK(test::worst_error(y.data, expected) < 1e-6);
    }
  }
}

}  // namespace krait::cpu
