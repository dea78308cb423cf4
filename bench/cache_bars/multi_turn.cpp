#include <algorithm>
#include <cstdio>
#include <limits>
#include <utility>

#include "bench/cache_bars/bar.h"
#include "bench/cache_bars/bar_shapes.h"
#include "bench/cache_bars/served_shape.h"

namespace krait::bench {
namespace {

constexpr int kTurns = 20;
constexpr int kBlock = 16;

/// A conversation as a chat template would write it: a system prompt, then questions and answers, each with a few
/// tokens in front that say who speaks. The prompt ends with those of the next answer.
class Conversation {
 public:
  Conversation(ServedShape& shape, std::uint64_t seed, std::size_t system_tokens)
      : shape_(shape),
        seed_(seed),
        user_mark_(shape.random_tokens(3, 1)),
        answer_mark_(shape.random_tokens(4, 2)),
        history_(shape.random_tokens(system_tokens, seed)) {
    system_end_ = static_cast<std::int32_t>(history_.size() + user_mark_.size());
  }

  /// With `rewritten`, what the model is shown of its last answer later lacks the tokens at its beginning, as templates
  /// do that leave old reasoning out.
  Reply next_turn(std::size_t question_tokens, int answer_tokens, bool rewritten = false) {
    append(user_mark_);
    append(shape_.random_tokens(question_tokens, seed_ + static_cast<std::uint64_t>(++turn_) * 1000));
    const auto last_message = static_cast<std::int32_t>(history_.size());
    Tokens prompt = history_;
    prompt.insert(prompt.end(), answer_mark_.begin(), answer_mark_.end());
    prompt_tokens_ = prompt.size();
    common_ = std::ranges::mismatch(prompt, seen_).in1 - prompt.begin();
    EngineRequest request = shape_.request(prompt, answer_tokens);
    request.cache_points = {system_end_, last_message};
    Reply reply = shape_.ask(std::move(request));
    seen_ = std::move(prompt);
    seen_.insert(seen_.end(), reply.tokens.begin(), reply.tokens.end());
    append(answer_mark_);
    history_.insert(history_.end(), reply.tokens.begin() + (rewritten ? reply.tokens.size() / 2 : 0),
                    reply.tokens.end());
    return reply;
  }

  /// Tokens of the last turn that had to be computed: its prompt's beyond what it has in common with all that was
  /// computed before, and its answer's but the last, which nobody computes.
  [[nodiscard]] std::int64_t new_tokens(const Reply& reply) const {
    return static_cast<std::int64_t>(prompt_tokens_ + reply.tokens.size()) - 1 - common_;
  }

 private:
  void append(const Tokens& tokens) { history_.insert(history_.end(), tokens.begin(), tokens.end()); }

  ServedShape& shape_;
  std::uint64_t seed_;
  Tokens user_mark_;
  Tokens answer_mark_;
  Tokens history_;
  Tokens seen_;  ///< the last prompt and its answer
  std::int32_t system_end_ = 0;
  std::ptrdiff_t common_ = 0;
  std::size_t prompt_tokens_ = 0;
  int turn_ = 0;
};

}  // namespace

/// Turns of many lengths, with answers that come back as they were and with answers that are rewritten.
BarResult multi_turn_tokens() {
  ServedShape shape(shape_small());
  std::int64_t largest = std::numeric_limits<std::int64_t>::min();
  int at = 0;
  for (const bool rewritten : {false, true}) {
    for (const std::size_t question : {1U, 16U, 23U, 190U}) {
      Conversation chat(shape, 100 * question + (rewritten ? 7U : 0U), 61);
      for (int turn = 1; turn <= kTurns; ++turn) {
        const Reply reply = chat.next_turn(question, 41, rewritten);
        const std::int64_t excess = reply.computed - chat.new_tokens(reply) - kBlock;
        if (turn == 1 || excess <= largest) continue;
        largest = excess;
        at = turn;
      }
    }
  }
  std::fprintf(stderr, "multi_turn_tokens: largest excess at turn %d\n", at);
  return at_most(static_cast<double>(largest), shape.options().snapshots.interval);
}

/// Best of several chats for each turn: what else runs on the machine only adds.
BarResult multi_turn_time() {
  constexpr int kChats = 3;
  ServedShape shape(shape_350m());
  std::vector<double> best(kTurns + 1, std::numeric_limits<double>::infinity());
  for (int chat_number = 0; chat_number < kChats; ++chat_number) {
    Conversation chat(shape, 5000 + static_cast<std::uint64_t>(chat_number), 61);
    for (int turn = 1; turn <= kTurns; ++turn) {
      const double seconds = chat.next_turn(64, 16).engine_seconds();
      auto& fastest = best[static_cast<std::size_t>(turn)];
      fastest = std::min(fastest, seconds);
    }
  }
  std::fprintf(stderr, "multi_turn_time: turn 2 in %.3f s, turn 20 in %.3f s\n", best[2], best[kTurns]);
  return at_most(best[kTurns] / best[2], 1.5);
}

}  // namespace krait::bench
