#include <catch2/catch.hpp>
#include <random>

#include "golden_file.h"
#include "tiny_model.h"

using namespace krait;
using namespace krait::test;

// The answer does not depend on the company or on the history, bit for bit (docs/design.md, section 6).

namespace {

/// Sanitizers make a model some twenty times slower: the same tests, on less of the same work.
constexpr bool kSlowBuild = KRAIT_SANITIZED != 0;

std::vector<std::int32_t> random_ids(std::mt19937& generator, int count) {
  std::uniform_int_distribution<std::int32_t> id(0, 255);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
  for (auto& value : ids) value = id(generator);
  return ids;
}

std::vector<std::int32_t> slice(const std::vector<std::int32_t>& ids, std::size_t begin, std::size_t count) {
  return {ids.begin() + static_cast<std::ptrdiff_t>(begin), ids.begin() + static_cast<std::ptrdiff_t>(begin + count)};
}

struct Variant {
  DType compute_dtype = DType::kFloat32;
  std::optional<DType> ssm_dtype = std::nullopt;
  std::optional<DType> conv_dtype = std::nullopt;
  Quantization quantization = Quantization::kNone;
  std::optional<DType> kv_dtype = std::nullopt;
};

const Variant kVariants[] = {
    {},
    {.compute_dtype = DType::kBFloat16},
    {.compute_dtype = DType::kInt8, .quantization = Quantization::kInt8, .kv_dtype = DType::kInt8},
    {.compute_dtype = DType::kFloat32, .quantization = Quantization::kInt4},
    {.compute_dtype = DType::kInt8, .quantization = Quantization::kInt4},
    {.ssm_dtype = DType::kBFloat16, .conv_dtype = DType::kBFloat16},
    {.ssm_dtype = DType::kFloat16, .conv_dtype = DType::kFloat16}};

TinyModel::Options options_of(const Variant& variant, int threads = 1) {
  TinyModel::Options options;
  options.threads = threads;
  options.compute_dtype = variant.compute_dtype;
  options.quantization = variant.quantization;
  options.kv_cache_dtype = variant.kv_dtype;
  options.mamba.ssm_cache_dtype = variant.ssm_dtype;
  options.mamba.conv_cache_dtype = variant.conv_dtype;
  return options;
}

}  // namespace

TEST_CASE("a prompt cut anywhere, or decoded token by token, gives the same logits and states") {
  std::mt19937 generator(3);
  const auto ids = random_ids(generator, 120);
  for (const std::string& folder : fixture_folders()) {
    for (const Variant& variant : kVariants) {
      if (kSlowBuild && variant.compute_dtype != DType::kFloat32) continue;
      CAPTURE(folder, static_cast<int>(variant.compute_dtype), static_cast<int>(variant.quantization),
              variant.ssm_dtype.has_value());
      TinyModel model(folder, options_of(variant));
      Sequence whole = model.start();
      const auto expected = model.run(whole, ids);
      for (const std::size_t budget : {1, 7, 15, 16, 100}) {
        if (kSlowBuild && budget != 7 && budget != 16) continue;
        CAPTURE(budget);
        Sequence cut = model.start();
        std::vector<Row> rows;
        for (std::size_t at = 0; at < ids.size(); at += budget) {
          for (Row& row : model.run(cut, slice(ids, at, std::min(budget, ids.size() - at))))
            rows.push_back(std::move(row));
        }
        REQUIRE(rows == expected);
        REQUIRE(model.state(cut) == model.state(whole));
      }
      Sequence decoded = model.start();
      std::vector<Row> rows = model.run(decoded, {ids[0]});
      for (std::size_t t = 1; t < ids.size(); ++t) rows.push_back(model.run(decoded, {ids[t]}, true).front());
      REQUIRE(rows == expected);
      REQUIRE(model.state(decoded) == model.state(whole));
    }
  }
}

TEST_CASE("alone is as in a batch of 16 that mixes decodes and prefills") {
  std::mt19937 generator(5);
  for (const std::string& folder : fixture_folders()) {
    for (const Variant& variant : {kVariants[0], kVariants[1], kVariants[2], kVariants[3], kVariants[4]}) {
      if (kSlowBuild && variant.quantization != Quantization::kNone && variant.compute_dtype != DType::kInt8) continue;
      CAPTURE(folder, static_cast<int>(variant.compute_dtype), static_cast<int>(variant.quantization));
      TinyModel model(folder, options_of(variant));
      std::vector<std::vector<std::int32_t>> prompts;
      std::vector<std::vector<Row>> alone;
      for (int i = 0; i < 16; ++i) {
        prompts.push_back(random_ids(generator, 1 + 7 * i % 53));
        Sequence sequence = model.start();
        alone.push_back(model.run(sequence, prompts.back()));
      }
      // Eight are computed but for their last token, which is then decoded beside the other eight's prefill.
      std::vector<Sequence> sequences(16);
      for (auto& sequence : sequences) sequence = model.start();
      std::vector<Piece> first;
      std::vector<Piece> mixed;
      for (std::size_t i = 0; i < 8; ++i) {
        const auto& ids = prompts[i];
        if (ids.size() == 1) continue;
        first.push_back({&sequences[i], slice(ids, 0, ids.size() - 1), false});
        mixed.push_back({&sequences[i], {ids.back()}, true});
      }
      const auto first_rows = model.step(first);
      for (std::size_t i = 8; i < 16; ++i) mixed.push_back({&sequences[i], prompts[i], false});
      const auto mixed_rows = model.step(mixed);
      for (std::size_t p = 0; p < mixed.size(); ++p) {
        const auto i = static_cast<std::size_t>(mixed[p].sequence - sequences.data());
        CAPTURE(i);
        std::vector<Row> rows = mixed[p].is_decode ? first_rows[p] : std::vector<Row>{};
        rows.insert(rows.end(), mixed_rows[p].begin(), mixed_rows[p].end());
        REQUIRE(rows == alone[i]);
      }
    }
  }
}

TEST_CASE("one, two and three threads, and every instruction set, give the same bits") {
  std::mt19937 generator(7);
  const auto ids = random_ids(generator, 70);
  for (const std::string& folder : fixture_folders()) {
    for (const Variant& variant : kVariants) {
      // The dot product of bfloat16 has its own bits on processors that have it.
      const bool plain = variant.compute_dtype == DType::kFloat32 && variant.quantization == Quantization::kNone;
      if (variant.ssm_dtype || variant.compute_dtype == DType::kBFloat16 || (kSlowBuild && !plain)) continue;
      CAPTURE(folder, static_cast<int>(variant.compute_dtype), static_cast<int>(variant.quantization));
      std::vector<Row> expected;
      for (const int threads : {1, 2, 3}) {
        TinyModel model(folder, options_of(variant, threads));
        Sequence sequence = model.start();
        const auto rows = model.run(sequence, ids);
        if (expected.empty()) expected = rows;
        REQUIRE(rows == expected);
      }
      // Weights that stay unquantised meet rows of bfloat16 beside those of int8.
      if (variant.compute_dtype == DType::kInt8) continue;
      TinyModel::Options portable = options_of(variant);
      portable.isa = "portable";
      TinyModel model(folder, portable);
      Sequence sequence = model.start();
      REQUIRE(model.run(sequence, ids) == expected);
    }
  }
}

TEST_CASE("a slot's and a page's former content has no effect") {
  std::mt19937 generator(9);
  const auto ids = random_ids(generator, 40);
  for (const std::string& folder : fixture_folders()) {
    CAPTURE(folder);
    TinyModel model(folder);
    Sequence fresh = model.start();
    const auto expected = model.run(fresh, ids);
    Sequence used = model.start();
    static_cast<void>(model.run(used, random_ids(generator, 60)));
    used.computed = 0;  // the same slot and pages, another request
    REQUIRE(model.run(used, ids) == expected);
  }
}
