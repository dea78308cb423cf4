#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "tests/kernels/kv_support.h"

namespace krait {
namespace {

using test::attend;
using test::AttentionOptions;
using test::KvPages;
using test::KvSequence;
using test::KvShape;
using test::Matrix;

/// Softmax attention of all tokens in double.
std::vector<double> reference(const KvPages& cache, const KvSequence& s, const Matrix& q, DType dtype,
                              const AttentionOptions& options) {
  const int dim = cache.head_dim, value_dim = cache.value_dim;
  const int heads = static_cast<int>(q.columns) / dim;
  const Matrix keys = test::stored_rows(s.k, dim, dtype);
  const Matrix values =
      cache.value_is_key ? KvSequence::leading_parts(keys, cache) : test::stored_rows(s.v, value_dim, dtype);
  std::vector<double> out;
  for (int t = 0; t < q.rows; ++t) {
    for (int h = 0; h < heads; ++h) {
      const int kv = h / (heads / cache.kv_heads);
      std::vector<double> result(static_cast<std::size_t>(value_dim));
      double total =
          options.sinks.empty() ? 0.0 : std::exp(static_cast<double>(options.sinks[static_cast<std::size_t>(h)]));
      for (int j = options.window > 0 ? std::max(0, t - options.window + 1) : 0; j <= t; ++j) {
        double score = 0.0;
        for (int d = 0; d < dim; ++d) {
          score += static_cast<double>(q.at(t, h * dim + d)) * static_cast<double>(keys.at(j, kv * dim + d));
        }
        score *= static_cast<double>(options.scale);
        const auto cap = static_cast<double>(options.soft_cap);
        if (cap > 0.0) score = cap * std::tanh(score / cap);
        total += std::exp(score);
        for (int d = 0; d < value_dim; ++d) {
          result[static_cast<std::size_t>(d)] +=
              std::exp(score) * static_cast<double>(values.at(j, kv * value_dim + d));
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

namespace {

/// Every option on a random sequence in caches of every dtype.
void check_against_reference(test::Random& random, const KvShape& shape, int heads, int block) {
  const int tokens = random.integer(1, 60);
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16, DType::kInt8}) {
    CAPTURE(shape.kv_heads, shape.head_dim, shape.value_dim, shape.value_is_key, heads, tokens, block);
    CAPTURE(dtype_name(dtype));
    KvPages cache(80, block, shape, dtype);
    test::Machine& machine = *test::machines().back();
    const KvSequence sequence(random, cache, tokens, 1);
    sequence.write(machine.ops(), cache, 0, tokens);
    const Matrix q = random.matrix(tokens, heads * shape.head_dim, 2.0F);
    for (const AttentionOptions& options : all_options(random, heads)) {
      CAPTURE(options.window, options.soft_cap, options.sinks.size());
      CHECK(test::worst_error(attend(machine.ops(), cache, sequence, q, 0, tokens, options).data,
                              reference(cache, sequence, q, dtype, options)) < 1e-5);
    }
  }
}

}  // namespace

TEST_CASE("Attention is softmax(q k^T) v over the pages") {
  for (std::uint32_t seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    test::Random random(seed);
    const int kv_heads = random.integer(1, 3), heads = kv_heads * random.integer(1, 4);
    const int block = seed % 2 == 0 ? 16 : random.integer(1, 40);
    check_against_reference(random, {.kv_heads = kv_heads, .head_dim = random.integer(1, 70)}, heads, block);
  }
}

TEST_CASE("Many query heads share one KV head") {
  test::Random random(31);
  check_against_reference(random, {.kv_heads = 1, .head_dim = 20}, 37, 16);
  check_against_reference(random, {.kv_heads = 2, .head_dim = 16}, 34, 5);
}

TEST_CASE("Values may be narrower or wider than keys") {
  test::Random random(32);
  check_against_reference(random, {.kv_heads = 2, .head_dim = 24, .value_dim = 10}, 6, 16);
  check_against_reference(random, {.kv_heads = 1, .head_dim = 9, .value_dim = 70}, 4, 7);
}

TEST_CASE("Latent attention: the values are the first part of the cached keys") {
  test::Random random(33);
  check_against_reference(random, {.head_dim = 24, .value_dim = 16, .value_is_key = true}, 4, 16);
  check_against_reference(random, {.head_dim = 83, .value_dim = 66, .value_is_key = true}, 19, 9);
  check_against_reference(random, {.kv_heads = 2, .head_dim = 21, .value_dim = 5, .value_is_key = true}, 4, 16);
  check_against_reference(random, {.head_dim = 18, .value_is_key = true}, 3, 16);
}

namespace {

void check_cuts(test::Machine& machine, const KvShape& shape, int heads, DType dtype) {
  test::Random random(21);
  KvPages cache(10, 16, shape, dtype);
  const KvSequence sequence(random, cache, 100, 1);
  const Matrix q = random.matrix(100, heads * shape.head_dim, 2.0F);
  sequence.write(machine.ops(), cache, 0, 100);
  for (const AttentionOptions& options : all_options(random, heads)) {
    const Matrix whole = attend(machine.ops(), cache, sequence, q, 0, 100, options);
    Matrix pieces;
    for (int begin = 0; begin < 100;) {
      const int end = std::min(100, begin + random.integer(1, 25));
      pieces.append(attend(machine.ops(), cache, sequence, q, begin, end, options));
      begin = end;
    }
    CAPTURE(options.window, options.soft_cap);
    CHECK(test::same_bits(pieces, whole));
  }
}

}  // namespace

TEST_CASE("A prompt cut anywhere, and decode, give the attention of the whole prompt") {
  struct Case {
    KvShape shape;
    int heads;
  };
  const std::vector<Case> cases{{{.kv_heads = 2, .head_dim = 40}, 6},
                                {{.kv_heads = 1, .head_dim = 24}, 35},
                                {{.kv_heads = 2, .head_dim = 20, .value_dim = 12}, 4},
                                {{.head_dim = 56, .value_dim = 40, .value_is_key = true}, 20}};
  for (const auto& machine : test::machines()) {
    for (const Case& one : cases) {
      for (const DType dtype : {DType::kBFloat16, DType::kInt8}) {
        CAPTURE(machine->label, one.heads, one.shape.head_dim, dtype_name(dtype));
        check_cuts(*machine, one.shape, one.heads, dtype);
      }
    }
  }
}

namespace {

/// More keys than a segment has, and what follows of it: pieces, single tokens and windows that end in any segment.
void check_long(test::Machine& machine, const KvShape& shape, int heads, DType dtype) {
  constexpr int kTokens = 1111;
  constexpr int kFirst = 1000;
  test::Random random(22);
  KvPages cache(80, 16, shape, dtype);
  const KvSequence sequence(random, cache, kTokens, 1);
  const Matrix q = random.matrix(kTokens, heads * shape.head_dim, 1.0F);
  sequence.write(machine.ops(), cache, 0, kTokens);
  AttentionOptions sinks{.sinks = std::vector<float>(static_cast<std::size_t>(heads), 0.5F)};
  AttentionOptions window = sinks;
  window.window = 530;
  for (const AttentionOptions& options : {AttentionOptions{}, AttentionOptions{.window = 600}, sinks, window}) {
    CAPTURE(options.window, options.sinks.size());
    const Matrix whole = attend(machine.ops(), cache, sequence, q, 0, kTokens, options);
    CHECK(test::same_bits(attend(machine.ops(), cache, sequence, q, kFirst, kTokens, options),
                          whole.slice(kFirst, kTokens)));
    for (const int token : {0, 100, 511, 512, 1023, 1024, 1041, kTokens - 1}) {
      CAPTURE(token);
      CHECK(test::same_bits(attend(machine.ops(), cache, sequence, q, token, token + 1, options),
                            whole.slice(token, token + 1)));
    }
  }
}

}  // namespace

TEST_CASE("Keys of several segments are the same for a prompt, its pieces and single tokens") {
  for (const auto& machine : test::machines()) {
    for (const DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16, DType::kInt8}) {
      CAPTURE(machine->label, dtype_name(dtype));
      check_long(*machine, {.kv_heads = 1, .head_dim = 20}, 7, dtype);
    }
    CAPTURE(machine->label);
    check_long(*machine, {.kv_heads = 2, .head_dim = 16, .value_dim = 40}, 4, DType::kBFloat16);
    check_long(*machine, {.head_dim = 24, .value_dim = 18, .value_is_key = true}, 2, DType::kInt8);
  }
}

TEST_CASE("Attention over several segments is softmax(q k^T) v") {
  constexpr int kTokens = 1100;
  test::Random random(23);
  for (const DType dtype : {DType::kFloat32, DType::kInt8}) {
    KvPages cache(80, 16, {.kv_heads = 1, .head_dim = 18}, dtype);
    const KvSequence sequence(random, cache, kTokens, 1);
    const Matrix q = random.matrix(kTokens, 2 * 18, 2.0F);
    for (const auto& machine : test::machines()) {
      sequence.write(machine->ops(), cache, 0, kTokens);
      for (const AttentionOptions& options :
           {AttentionOptions{}, AttentionOptions{.window = 700, .sinks = {1.0F, -1.0F}}}) {
        CAPTURE(machine->label, dtype_name(dtype), options.window);
        const std::vector<double> expected = reference(cache, sequence, q, dtype, options);
        CHECK(test::worst_error(attend(machine->ops(), cache, sequence, q, 0, kTokens, options).data, expected) < 1e-5);
      }
    }
  }
}

TEST_CASE("A row that is not finite stays one in an int8 cache, and harms no other") {
  test::Machine& machine = *test::machines().back();
  test::Random random(6);
  KvPages cache(3, 16, 2, 20, DType::kInt8);
  KvSequence sequence(random, cache, 20, 1);
  sequence.k.at(7, 3) = std::numeric_limits<float>::infinity();
  sequence.write(machine.ops(), cache, 0, 20);
  const Matrix out = attend(machine.ops(), cache, sequence, random.matrix(20, 40), 0, 20, {});
  for (int t = 0; t < 20; ++t) {
    for (int i = 0; i < 40; ++i) CHECK(std::isnan(out.at(t, i)) == (t >= 7 && i < 20));
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

namespace {

constexpr double kEps = 1e-5;

struct WriteCase {
  int heads;
  KvShape shape;
  int rotary;
  bool interleaved;
  int offset;
  bool q_norm;
  bool k_norm;
};

/// One head after its norm (an empty weight: none) and rotation, in double.
std::vector<double> normed_and_rotated(const WriteCase& c, const float* head, const Matrix& norm, const float* cos,
                                       const float* sin) {
  std::vector<double> x(head, head + c.shape.head_dim);
  if (norm.rows > 0) {
    double squares = 0.0;
    for (const double value : x) squares += value * value;
    for (std::size_t d = 0; d < x.size(); ++d) {
      x[d] *= static_cast<double>(norm.data[d]) / std::sqrt(squares / static_cast<double>(x.size()) + kEps);
    }
  }
  for (int i = 0; i < c.rotary / 2; ++i) {
    const int first = c.interleaved ? 2 * i : i, second = c.interleaved ? 2 * i + 1 : i + c.rotary / 2;
    double& a = x.at(static_cast<std::size_t>(c.offset) + static_cast<std::size_t>(first));
    double& b = x.at(static_cast<std::size_t>(c.offset) + static_cast<std::size_t>(second));
    const double from_a = a, from_b = b;
    a = from_a * static_cast<double>(cos[i]) - from_b * static_cast<double>(sin[i]);
    b = from_b * static_cast<double>(cos[i]) + from_a * static_cast<double>(sin[i]);
  }
  return x;
}

/// Checks all heads of the rows.
void check_rows(const WriteCase& c, const Matrix& found, const Matrix& source, const Matrix& norm,
                const std::vector<std::int32_t>& positions, const Matrix& cos, const Matrix& sin) {
  const int dim = c.shape.head_dim;
  std::vector<double> expected;
  for (int t = 0; t < source.rows; ++t) {
    for (int first = 0; first < source.columns; first += dim) {
      const auto p = static_cast<std::ptrdiff_t>(positions[static_cast<std::size_t>(t)]) * cos.columns;
      const auto head = normed_and_rotated(c, source.data.data() + t * source.columns + first, norm,
                                           cos.data.data() + p, sin.data.data() + p);
      expected.insert(expected.end(), head.begin(), head.end());
    }
  }
  CHECK(test::worst_error(found.data, expected) < 1e-5);
}

void check_write(const WriteCase& c) {
  CAPTURE(c.heads, c.shape.kv_heads, c.shape.head_dim, c.rotary, c.interleaved, c.offset, c.q_norm, c.k_norm);
  test::Random random(3);
  test::Machine machine;
  KvPages cache(3, 4, c.shape, DType::kFloat32);
  const int dim = cache.head_dim, kv_width = cache.kv_heads * dim, v_width = cache.kv_heads * cache.value_dim;
  Matrix q = random.matrix(3, c.heads * dim), k = random.matrix(3, kv_width);
  const Matrix v = random.matrix(3, v_width), q0 = q, k0 = k;
  const Matrix q_norm = c.q_norm ? random.matrix(1, dim) : Matrix();
  const Matrix k_norm = c.k_norm ? random.matrix(1, dim) : Matrix();
  const Matrix cos = random.matrix(9, c.rotary / 2), sin = random.matrix(9, c.rotary / 2);
  const std::vector<std::int32_t> positions{8, 0, 5};
  const std::vector<std::int64_t> slots{9, -1, 6};
  const auto before = cache.memory;
  WriteKvArgs args;
  args.q = q.view();
  args.k = k.view();
  if (!c.shape.value_is_key) args.v = v.view();
  if (c.q_norm) args.q_norm = q_norm.flat();
  if (c.k_norm) args.k_norm = k_norm.flat();
  args.norm_eps = static_cast<float>(kEps);
  args.rope = {
      .cos = cos.view(), .sin = sin.view(), .rotary_dim = c.rotary, .interleaved = c.interleaved, .offset = c.offset};
  args.positions = positions;
  args.slot_mapping = slots;
  args.cache = cache.view;
  machine.ops().qk_norm_rope_write_kv(args);

  check_rows(c, q, q0, q_norm, positions, cos, sin);
  check_rows(c, k, k0, k_norm, positions, cos, sin);
  // What the pages must hold now, and nothing else: token 0 in slot 1 of page 2, token 2 in slot 2 of page 1.
  auto expected = before;
  const auto put = [&](int page, int slot, std::size_t offset, const Matrix& rows, int token) {
    const auto width = rows.columns / cache.kv_heads;
    const std::size_t bytes = static_cast<std::size_t>(width) * sizeof(float);
    const std::size_t first = static_cast<std::size_t>(cache.view.base - cache.memory.data()) +
                              static_cast<std::size_t>(page) * cache.view.page_stride + offset;
    for (int head = 0; head < cache.kv_heads; ++head) {
      const int row = head * cache.block_size + slot;
      std::memcpy(expected.data() + first + static_cast<std::size_t>(row) * bytes,
                  rows.data.data() + token * rows.columns + head * width, bytes);
    }
  };
  put(2, 1, 0, k, 0);
  put(1, 2, 0, k, 2);
  if (!c.shape.value_is_key) {
    put(2, 1, cache.view.value_offset, v, 0);
    put(1, 2, cache.view.value_offset, v, 2);
  }
  CHECK(cache.memory == expected);
}

}  // namespace

TEST_CASE("q and k are normed, rotated in both layouts, and written where the slot mapping says") {
  const KvShape mqa{.kv_heads = 1, .head_dim = 20};
  const KvShape gqa{.kv_heads = 2, .head_dim = 36, .value_dim = 25};
  const KvShape latent{.head_dim = 44, .value_dim = 26, .value_is_key = true};
  for (const bool interleaved : {false, true}) {
    check_write({3, mqa, 12, interleaved, 0, true, false});
    check_write({2, mqa, 20, interleaved, 0, false, true});
    check_write({6, gqa, 36, interleaved, 0, true, true});
    check_write({4, gqa, 34, interleaved, 2, true, true});
    check_write({5, latent, 18, interleaved, 26, false, false});
    check_write({1, latent, 10, interleaved, 3, true, true});
  }
  check_write({4, gqa, 0, false, 0, true, true});
  check_write({2, latent, 0, false, 0, false, false});
}

}  // namespace krait
