#include <catch2/catch.hpp>
#include <cmath>

#include "tests/kernels/kv_support.h"

namespace krait {
namespace {

using test::attend;
using test::AttentionOptions;
using test::KvPages;
using test::KvSequence;
using test::Matrix;

/// Softmax attention of all tokens in double.
std::vector<double> reference(const KvPages& cache, const KvSequence& s, const Matrix& q, DType dtype,
                              const AttentionOptions& options) {
  const int dim = cache.head_dim;
  const int heads = static_cast<int>(q.columns) / dim;
  std::vector<double> out;
  for (int t = 0; t < q.rows; ++t) {
    for (int h = 0; h < heads; ++h) {
      const int kv = h / (heads / cache.kv_heads);
      std::vector<double> result(static_cast<std::size_t>(dim));
      double total =
          options.sinks.empty() ? 0.0 : std::exp(static_cast<double>(options.sinks[static_cast<std::size_t>(h)]));
      for (int j = options.window > 0 ? std::max(0, t - options.window + 1) : 0; j <= t; ++j) {
        double score = 0.0;
        for (int d = 0; d < dim; ++d) {
          score += static_cast<double>(q.at(t, h * dim + d)) *
                   static_cast<double>(test::round_to(s.k.at(j, kv * dim + d), dtype));
        }
        score *= static_cast<double>(options.scale);
        const auto cap = static_cast<double>(options.soft_cap);
        if (cap > 0.0) score = cap * std::tanh(score / cap);
        total += std::exp(score);
        for (int d = 0; d < dim; ++d) {
          result[static_cast<std::size_t>(d)] +=
              std::exp(score) * static_cast<double>(test::round_to(s.v.at(j, kv * dim + d), dtype));
        }
      }
      for (const double x : result) out.push_back(x / total);
    }
  }
  return out;
}

std::vector<AttentionOptions> all_options(test::Random& random, int heads) {
  AttentionOptions sinks;
  for (int h = 0; h < heads; ++h) sinks.sinks.push_back(random.uniform(-2.0F, 2.0F));
  AttentionOptions both = sinks;
  both.window = 7;
  return {{}, {.window = 1}, {.window = 19}, {.soft_cap = 2.0F}, sinks, both};
}

}  // namespace

TEST_CASE("Attention is softmax(q k^T) v over the pages") {
  for (std::uint32_t seed = 1; seed <= 6; ++seed) {
    test::Random random(seed);
    const int kv_heads = random.integer(1, 3), dim = random.integer(1, 70), heads = kv_heads * random.integer(1, 4);
    const int tokens = random.integer(1, 60), block = seed % 2 == 0 ? 16 : random.integer(1, 40);
    for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
      CAPTURE(seed, kv_heads, dim, heads, tokens, block, dtype_name(dtype));
      KvPages cache(80, block, kv_heads, dim, dtype);
      test::Machine& machine = *test::machines().back();
      const KvSequence sequence(random, cache, tokens, 1);
      sequence.write(machine.ops(), cache, 0, tokens);
      const Matrix q = random.matrix(tokens, heads * dim, 2.0F);
      for (const AttentionOptions& options : all_options(random, heads)) {
        CAPTURE(options.window, options.soft_cap, options.sinks.size());
        CHECK(test::worst_error(attend(machine.ops(), cache, sequence, q, 0, tokens, options).data,
                                reference(cache, sequence, q, dtype, options)) < 1e-5);
      }
    }
  }
}

TEST_CASE("A prompt cut anywhere, and decode, give the attention of the whole prompt") {
  for (const auto& machine : test::machines()) {
    test::Random random(21);
    KvPages cache(10, 16, 2, 40, DType::kBFloat16);
    const KvSequence sequence(random, cache, 100, 1);
    const Matrix q = random.matrix(100, 6 * 40, 2.0F);
    sequence.write(machine->ops(), cache, 0, 100);
    for (const AttentionOptions& options : all_options(random, 6)) {
      const Matrix whole = attend(machine->ops(), cache, sequence, q, 0, 100, options);
      Matrix pieces;
      for (int begin = 0; begin < 100;) {
        const int end = std::min(100, begin + random.integer(1, 25));
        pieces.append(attend(machine->ops(), cache, sequence, q, begin, end, options));
        begin = end;
      }
      CAPTURE(machine->label, options.window, options.soft_cap);
      CHECK(test::same_bits(pieces, whole));
    }
  }
}

TEST_CASE("Requests of one batch do not see each other") {
  test::Machine& machine = *test::machines().back();
  test::Random random(5);
  KvPages cache(12, 16, 1, 24, DType::kFloat32);
  const KvSequence first(random, cache, 40, 1), second(random, cache, 33, 5);
  first.write(machine.ops(), cache, 0, 40);
  second.write(machine.ops(), cache, 0, 33);
  const Matrix q = random.matrix(15, 48);
  const std::vector<std::int32_t> starts{0, 1, 1, 15}, lengths{40, 0, 33};
  std::vector<std::int32_t> table(9);
  std::copy(first.pages.begin(), first.pages.end(), table.begin());
  std::copy(second.pages.begin(), second.pages.end(), table.begin() + 6);
  Matrix out(15, 48);
  PagedAttentionArgs args;
  args.q = q.view();
  args.out = out.view();
  args.cache = cache.view;
  args.query_start_loc = starts;
  args.seq_lens = lengths;
  args.block_table = table;
  args.max_blocks = 3;
  args.scale = 0.3F;
  machine.ops().paged_attention(args);
  Matrix padded(40, 48);
  padded.data.assign(padded.data.size(), 0.0F);
  std::copy(q.data.begin(), q.data.begin() + 48, padded.data.end() - 48);
  CHECK(test::same_bits(attend(machine.ops(), cache, first, padded, 39, 40, {}), out.slice(0, 1)));
  Matrix other(33, 48);
  std::copy(q.data.begin() + 48, q.data.end(), other.data.end() - 14 * 48);
  CHECK(test::same_bits(attend(machine.ops(), cache, second, other, 19, 33, {}), out.slice(1, 15)));
}

TEST_CASE("q and k are normed, rotated in both layouts, and written where the slot mapping says") {
  for (const bool interleaved : {false, true}) {
    test::Random random(3);
    test::Machine machine;
    const int dim = 20, rotary = 12;
    KvPages cache(3, 4, 1, dim, DType::kFloat32);
    Matrix q = random.matrix(3, 2 * dim), k = random.matrix(3, dim);
    const Matrix v = random.matrix(3, dim), norm = random.matrix(1, dim), q0 = q, k0 = k;
    Matrix cos(9, rotary / 2), sin(9, rotary / 2);
    for (int p = 0; p < 9; ++p) {
      for (int i = 0; i < rotary / 2; ++i) {
        cos.at(p, i) = std::cos(static_cast<float>(p) / static_cast<float>(i + 1));
        sin.at(p, i) = std::sin(static_cast<float>(p) / static_cast<float>(i + 1));
      }
    }
    const std::vector<std::int32_t> positions{8, 0, 5};
    const std::vector<std::int64_t> slots{9, -1, 6};
    const auto before = cache.memory;
    WriteKvArgs args;
    args.q = q.view();
    args.k = k.view();
    args.v = v.view();
    args.q_norm = norm.flat();
    args.norm_eps = 1e-5F;
    args.rope = {cos.view(), sin.view(), rotary, interleaved};
    args.positions = positions;
    args.slot_mapping = slots;
    args.cache = cache.view;
    machine.ops().qk_norm_rope_write_kv(args);

    const auto expect = [&](const Matrix& source, int t, int head, bool normed) {
      std::vector<double> x;
      double squares = 0.0;
      for (int d = 0; d < dim; ++d) {
        x.push_back(static_cast<double>(source.at(t, head * dim + d)));
        squares += x.back() * x.back();
      }
      if (normed) {
        for (int d = 0; d < dim; ++d) {
          x[static_cast<std::size_t>(d)] *= static_cast<double>(norm.at(0, d)) / std::sqrt(squares / dim + 1e-5);
        }
      }
      for (int i = 0; i < rotary / 2; ++i) {
        const auto a = static_cast<std::size_t>(interleaved ? 2 * i : i);
        const auto b = static_cast<std::size_t>(interleaved ? 2 * i + 1 : i + rotary / 2);
        const int position = positions[static_cast<std::size_t>(t)];
        const double c = static_cast<double>(cos.at(position, i)), s = static_cast<double>(sin.at(position, i));
        const double xa = x[a], xb = x[b];
        x[a] = xa * c - xb * s;
        x[b] = xb * c + xa * s;
      }
      return x;
    };
    for (int t = 0; t < 3; ++t) {
      for (int head = 0; head < 3; ++head) {
        const bool is_q = head < 2;
        const auto expected = is_q ? expect(q0, t, head, true) : expect(k0, t, 0, false);
        for (int d = 0; d < dim; ++d) {
          const float found = is_q ? q.at(t, head * dim + d) : k.at(t, d);
          CHECK(static_cast<double>(found) == Approx(expected[static_cast<std::size_t>(d)]).margin(1e-5));
        }
      }
    }
    const auto* keys = reinterpret_cast<const float*>(cache.view.base + 2 * cache.view.page_stride) + 1 * dim;
    CHECK(std::memcmp(keys, k.data.data(), static_cast<std::size_t>(dim) * 4) == 0);
    const auto* values =
        reinterpret_cast<const float*>(cache.view.base + cache.view.page_stride + cache.view.value_offset) + 2 * dim;
    CHECK(std::memcmp(values, v.data.data() + 2 * dim, static_cast<std::size_t>(dim) * 4) == 0);
    CHECK(std::equal(before.begin(), before.begin() + static_cast<std::ptrdiff_t>(cache.view.page_stride),
                     cache.memory.begin()));
  }
}

}  // namespace krait
