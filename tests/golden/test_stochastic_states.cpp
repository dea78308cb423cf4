#include <algorithm>
#include <catch2/catch.hpp>
#include <iterator>
#include <random>

#include "demo_model.h"
#include "golden_file.h"
#include "kernels/cpu/cpu_platform.h"
#include "kernels/result.h"
#include "tiny_model.h"

using namespace krait;
using namespace krait::test;

// float16 states that are rounded stochastically (--enable-mamba-cache-stochastic-rounding).

namespace {

constexpr const char* kFlag = "--enable-mamba-cache-stochastic-rounding";

MambaConfig stochastic(std::optional<DType> dtype = DType::kFloat16) {
  MambaConfig config;
  config.ssm_cache_dtype = dtype;
  config.enable_stochastic_rounding = true;
  return config;
}

std::vector<std::int32_t> random_ids(std::mt19937& generator, int count) {
  std::uniform_int_distribution<std::int32_t> id(0, 255);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
  for (auto& value : ids) value = id(generator);
  return ids;
}

std::string start_error(const std::string& folder, const TinyModel::Options& options) {
  try {
    const TinyModel model(folder, options);
  } catch (const StartupError& error) {
    return error.what();
  }
  return "";
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("stochastic rounding: every Mamba-1 and Mamba-2 model, in pieces and beside another, bit for bit") {
  std::mt19937 generator(3);
  const auto ids = random_ids(generator, 70);
  const auto other_ids = random_ids(generator, 70);
  int served = 0;
  for (const std::string& folder : fixture_folders()) {
    TinyModel::Options options;
    options.mamba = stochastic();
    const std::string error = start_error(folder, options);
    CAPTURE(folder, error);
    if (!error.empty()) {
      CHECK((says(error, kFlag) || says(error, "--mamba-ssm-cache-dtype has no effect")));
      continue;
    }
    ++served;
    TinyModel model(folder, options);
    Sequence whole = model.start();
    const std::vector<Row> expected = model.run(whole, ids);
    // In pieces of 9, beside another's, and from the middle on token by token.
    Sequence cut = model.start(), other = model.start();
    std::vector<Row> rows;
    for (std::size_t at = 0; at < ids.size();) {
      const bool decode = at >= 36;
      const std::size_t count = decode ? 1 : 9;
      const auto piece = [&](Sequence& sequence, const std::vector<std::int32_t>& from) {
        const auto begin = from.begin() + static_cast<std::ptrdiff_t>(at);
        return Piece{&sequence, {begin, begin + static_cast<std::ptrdiff_t>(count)}, decode};
      };
      auto step = model.step({piece(other, other_ids), piece(cut, ids)});
      std::move(step.back().begin(), step.back().end(), std::back_inserter(rows));
      at += count;
    }
    CHECK(rows == expected);
    CHECK(model.state(cut) == model.state(whole));
    // It does something, and by the rounds that were asked for; 0 are 10.
    options.mamba.enable_stochastic_rounding = false;
    TinyModel nearest(folder, options);
    Sequence plain = nearest.start();
    CHECK(nearest.run(plain, ids) != expected);
    options.mamba.enable_stochastic_rounding = true;
    for (const int rounds : {10, 7}) {
      options.mamba.stochastic_rounding_philox_rounds = rounds;
      TinyModel again(folder, options);
      Sequence sequence = again.start();
      CHECK((again.run(sequence, ids) == expected) == (rounds == 10));
    }
  }
  CHECK(served >= 8);
}

TEST_CASE("stochastic rounding is refused with a sentence where it cannot be had") {
  class OtherPlatform final : public CpuPlatform {
   public:
    OtherPlatform() : CpuPlatform(CpuOptions{.threads = 1}) {}
    [[nodiscard]] std::string_view name() const override { return "other"; }
    [[nodiscard]] bool supports_stochastic_rounding() const override { return false; }
  };
  const std::string mamba = "tests/golden/models/mamba2";
  const auto error_of = [](const std::string& folder, const MambaConfig& config) {
    TinyModel::Options options;
    options.mamba = config;
    return start_error(folder, options);
  };
  for (const std::optional<DType> dtype : {std::optional<DType>{}, {DType::kFloat32}, {DType::kBFloat16}}) {
    const std::string error = error_of(mamba, stochastic(dtype));
    CAPTURE(error);
    CHECK(says(error, std::string(kFlag) + " rounds float16 states"));
    CHECK(says(error, "mamba2 layers are " + std::string(dtype_name(dtype.value_or(DType::kFloat32)))));
    CHECK(says(error, "--mamba-ssm-cache-dtype float16"));
  }
  CHECK(says(error_of("tests/golden/models/qwen3_next", stochastic()), "it rounds the states of Mamba-1 and Mamba-2"));
  CHECK(says(error_of("tests/golden/models/lfm2", stochastic(std::nullopt)), "the model has no Mamba-1 or Mamba-2"));
  CHECK(says(error_of("tests/golden/models/llama", stochastic(std::nullopt)), "the model has no Mamba-1 or Mamba-2"));
  TinyModel::Options options;
  options.mamba = stochastic();
  options.make_platform = [] { return std::make_unique<OtherPlatform>(); };
  CHECK(says(start_error(mamba, options), "is not served on platform 'other'"));
  MambaConfig rounds;
  rounds.stochastic_rounding_philox_rounds = 7;
  CHECK(says(error_of(mamba, rounds), "--mamba-cache-philox-rounds has an effect only with"));
}
