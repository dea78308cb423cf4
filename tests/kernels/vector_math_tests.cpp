#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "tests/kernels/activation_support.h"
#include "tests/kernels/test_support.h"

namespace krait {
namespace {

using cpu::VectorFunction;

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<const cpu::KernelTable*> tables() {
  std::vector<const cpu::KernelTable*> list{cpu::portable_kernels()};
  if (cpu::detect_cpu_features().avx2) list.push_back(cpu::avx2_kernels());
  if (cpu::detect_cpu_features().avx512) list.push_back(cpu::avx512_kernels());
  return list;
}

std::vector<float> map(const cpu::KernelTable& table, VectorFunction function, std::vector<float> in) {
  in.resize((in.size() + 15) / 16 * 16);
  std::vector<float> out(in.size());
  table.map_function(function, in.data(), out.data(), static_cast<std::int64_t>(in.size()));
  return out;
}

/// Distance from `exact` in units of the last place of a float32.
double ulps(float value, double exact) {
  const auto nearest = static_cast<float>(exact);
  if (value == nearest) return 0.0;
  const double ulp =
      static_cast<double>(std::nextafter(std::abs(nearest), kInf)) - std::abs(static_cast<double>(nearest));
  return std::abs(static_cast<double>(value) - exact) / ulp;
}

struct Case {
  VectorFunction function;
  double (*exact)(double);
  float low;
  float high;
  double tolerance;
};

}  // namespace

TEST_CASE("Vector functions are within a few ulp of the exact ones") {
  const std::vector<Case> cases = {
      {VectorFunction::kExp, [](double x) { return std::exp(x); }, -103.0F, 88.7F, 2.0},
      {VectorFunction::kOneMinusExp, [](double x) { return -std::expm1(x); }, -20.0F, 0.0F, 4.0},
      {VectorFunction::kOneMinusExp, [](double x) { return -std::expm1(x); }, -1e-3F, 0.0F, 2.0},
      {VectorFunction::kLog1p, [](double x) { return std::log1p(x); }, 0.0F, 50.0F, 2.0},
      {VectorFunction::kLog1p, [](double x) { return std::log1p(x); }, 0.0F, 1e-3F, 2.0},
      {VectorFunction::kSoftplus, [](double x) { return std::log1p(std::exp(x)); }, -80.0F, 80.0F, 3.0},
      {VectorFunction::kSigmoid, [](double x) { return 1.0 / (1.0 + std::exp(-x)); }, -80.0F, 80.0F, 3.0},
      {VectorFunction::kSilu, [](double x) { return x / (1.0 + std::exp(-x)); }, -80.0F, 80.0F, 4.0},
      {VectorFunction::kTanh, [](double x) { return std::tanh(x); }, -12.0F, 12.0F, 3.0},
      {VectorFunction::kTanh, [](double x) { return std::tanh(x); }, -0.7F, 0.7F, 3.0},
      {VectorFunction::kErf, [](double x) { return std::erf(x); }, -6.0F, 6.0F, 3.0},
      {VectorFunction::kErf, [](double x) { return std::erf(x); }, -1e-3F, 1e-3F, 3.0},
      {VectorFunction::kGelu, [](double x) { return test::exact_activation(Activation::kGelu, x); }, -12.5F, 20.0F,
       6.0},
      {VectorFunction::kGelu, [](double x) { return test::exact_activation(Activation::kGelu, x); }, -1.0F, 1.0F, 6.0},
      {VectorFunction::kGeluTanh, [](double x) { return test::exact_activation(Activation::kGeluTanh, x); }, -4.7F,
       20.0F, 6.0},
      {VectorFunction::kGeluTanh, [](double x) { return test::exact_activation(Activation::kGeluTanh, x); }, -1.0F,
       1.0F, 6.0},
      {VectorFunction::kRelu2, [](double x) { return test::exact_activation(Activation::kRelu2, x); }, -4.0F, 20.0F,
       0.5},
  };
  for (const Case& test : cases) {
    std::vector<float> in;
    for (int i = 0; i < 160000; ++i)
      in.push_back(test.low + (test.high - test.low) * static_cast<float>(i) / 160000.0F);
    const std::vector<float> reference = map(*cpu::portable_kernels(), test.function, in);
    double worst = 0.0;
    float at = 0.0F;
    for (std::size_t i = 0; i < in.size(); ++i) {
      const double error = ulps(reference[i], test.exact(static_cast<double>(in[i])));
      if (error > worst) at = in[i];
      worst = std::max(worst, error);
    }
    CAPTURE(static_cast<int>(test.function), at, worst);
    CHECK(worst <= test.tolerance);
    for (const cpu::KernelTable* table : tables()) {
      CAPTURE(table->name);
      CHECK(test::same_bits(map(*table, test.function, in), reference));
    }
  }
}

TEST_CASE("Vector functions are right at the ends") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const cpu::KernelTable* table : tables()) {
    CAPTURE(table->name);
    const auto exp = map(*table, VectorFunction::kExp, {-kInf, kInf, nan, 0.0F, 89.0F, -110.0F, 88.72F});
    CHECK(exp[0] == 0.0F);
    CHECK(exp[1] == kInf);
    CHECK(std::isnan(exp[2]));
    CHECK(exp[3] == 1.0F);
    CHECK(exp[4] == kInf);
    CHECK(exp[5] == 0.0F);
    CHECK(std::isfinite(exp[6]));
    const auto softplus = map(*table, VectorFunction::kSoftplus, {-kInf, kInf, nan, 1000.0F, -1000.0F, -90.0F});
    CHECK(softplus[0] == 0.0F);
    CHECK(softplus[1] == kInf);
    CHECK(std::isnan(softplus[2]));
    CHECK(softplus[3] == 1000.0F);
    CHECK(softplus[4] == 0.0F);
    CHECK(softplus[5] > 0.0F);
    const auto sigmoid = map(*table, VectorFunction::kSigmoid, {-kInf, kInf, nan, 0.0F});
    CHECK(sigmoid[0] == 0.0F);
    CHECK(sigmoid[1] == 1.0F);
    CHECK(std::isnan(sigmoid[2]));
    CHECK(sigmoid[3] == 0.5F);
    const auto log1p = map(*table, VectorFunction::kLog1p, {0.0F, kInf, nan, 3e38F});
    CHECK(log1p[0] == 0.0F);
    CHECK(log1p[1] == kInf);
    CHECK(std::isnan(log1p[2]));
    CHECK(log1p[3] == Approx(88.597).epsilon(1e-5));
    const auto tanh = map(*table, VectorFunction::kTanh, {-kInf, kInf, nan, 0.0F, 0.5F});
    CHECK(tanh[0] == -1.0F);
    CHECK(tanh[1] == 1.0F);
    CHECK(std::isnan(tanh[2]));
    CHECK(tanh[3] == 0.0F);
    CHECK(tanh[4] == Approx(std::tanh(0.5)));
    const auto erf = map(*table, VectorFunction::kErf, {-kInf, kInf, nan, 0.0F});
    CHECK(erf[0] == -1.0F);
    CHECK(erf[1] == 1.0F);
    CHECK(std::isnan(erf[2]));
    CHECK(erf[3] == 0.0F);
    for (const auto function : {VectorFunction::kGelu, VectorFunction::kGeluTanh, VectorFunction::kRelu2}) {
      const auto y = map(*table, function, {-1000.0F, kInf, nan, 0.0F, 1000.0F, -30.0F, -3e38F});
      CHECK(y[0] == 0.0F);
      CHECK(y[1] == kInf);
      CHECK(std::isnan(y[2]));
      CHECK(y[3] == 0.0F);
      CHECK(y[4] == (function == VectorFunction::kRelu2 ? 1e6F : 1000.0F));
      CHECK(y[5] == 0.0F);
      CHECK(y[6] == 0.0F);
    }
  }
}

}  // namespace krait
