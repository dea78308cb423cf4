#include <cstdio>

#include "bench/cache_bars/bar.h"
#include "bench/cache_bars/bar_shapes.h"
#include "bench/cache_bars/served_shape.h"

namespace krait::bench {
namespace {

constexpr int kRequests = 1000;
constexpr int kShared = 500;

EngineRequest question(ServedShape& shape, const Tokens& shared, std::uint64_t seed, std::size_t tokens,
                       bool cache_point) {
  Tokens prompt = shared;
  const Tokens own = shape.random_tokens(tokens, seed);
  prompt.insert(prompt.end(), own.begin(), own.end());
  EngineRequest request = shape.request(std::move(prompt), 4);
  if (cache_point) request.cache_points = {static_cast<std::int32_t>(shared.size())};
  return request;
}

/// The share of the shared tokens that were hits, from request number `first` on.
double shared_hits(bool cache_point, int first) {
  ServedShape shape(shape_small());
  const Tokens shared = shape.random_tokens(kShared, 11);
  std::int64_t hits = 0;
  std::int64_t asked = 0;
  for (int i = 1; i <= kRequests; ++i) {
    // Questions of 1 to 80 tokens.
    const auto number = static_cast<std::uint64_t>(i);
    const Reply reply = shape.ask(question(shape, shared, 1000 + number, 1 + number * 37 % 80, cache_point));
    if (i < first) continue;
    hits += std::min<std::int64_t>(reply.stats.cached_tokens, kShared);
    asked += kShared;
  }
  return static_cast<double>(hits) / static_cast<double>(asked);
}

}  // namespace

BarResult shared_prompt_chat() { return at_least(shared_hits(true, 2), 0.95); }
BarResult shared_prompt_completion() { return at_least(shared_hits(false, 3), 0.95); }

/// One question asked again and again after the same shared tokens and 0 to 64 tokens of its own: the fewest hits.
BarResult shifted_question() {
  ServedShape shape(shape_small());
  std::int64_t fewest = kShared;
  for (const bool cache_point : {true, false}) {
    const Tokens shared = shape.random_tokens(kShared, cache_point ? 21 : 22);
    const Tokens same = shape.random_tokens(60, 23);
    for (int i = 0; i < 2; ++i) static_cast<void>(shape.ask(question(shape, shared, 31U + i, 60, cache_point)));
    for (std::size_t shift = 0; shift <= 64; ++shift) {
      EngineRequest request = question(shape, shared, 40 + shift, shift, cache_point);
      request.prompt.insert(request.prompt.end(), same.begin(), same.end());
      const Reply reply = shape.ask(std::move(request));
      fewest = std::min(fewest, reply.stats.cached_tokens);
    }
  }
  return at_least(static_cast<double>(fewest) / kShared, 0.95);
}

}  // namespace krait::bench
