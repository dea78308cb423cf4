#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels/cuda/cuda_operations.h"
#include "kernels/cuda/sampling/draw.h"
#include "kernels/cuda/sampling/feed_tokens.h"
#include "kernels/cuda/sampling/logit_edits.h"
#include "kernels/cuda/sampling/logprobs.h"
#include "kernels/cuda/view_checks.h"
#include "kernels/philox.h"

namespace krait::cuda {
namespace {

/// What a row's bias, penalties and bans do, gathered by token: the device changes each logit once.
void add_edits(const SampleRow& row, std::int32_t index, std::int64_t vocab, std::vector<LogitEdit>& edits) {
  std::unordered_map<std::int32_t, std::size_t> known;
  const auto edit = [&](std::int32_t token) -> LogitEdit* {
    if (token < 0 || token >= vocab) return nullptr;
    const auto [at, added] = known.emplace(token, edits.size());
    if (added) edits.push_back({.row = index, .token = token});
    return &edits[at->second];
  };
  for (const auto& [token, bias] : row.logit_bias) {
    if (LogitEdit* one = edit(token)) one->bias += bias;
  }
  const bool repetition = row.repetition_penalty != 1.0F;
  const bool counted = row.presence_penalty != 0.0F || row.frequency_penalty != 0.0F;
  if (repetition) {
    for (const std::int32_t token : row.prompt_tokens) {
      if (LogitEdit* one = edit(token)) one->repetition = row.repetition_penalty;
    }
  }
  if (repetition || counted) {
    std::unordered_map<std::int32_t, int> counts;
    for (const std::int32_t token : row.output_tokens) ++counts[token];
    for (const auto& [token, count] : counts) {
      LogitEdit* one = edit(token);
      if (one == nullptr) continue;
      if (repetition) one->repetition = row.repetition_penalty;
      one->frequency = row.frequency_penalty * static_cast<float>(count);
      one->presence = row.presence_penalty;
    }
  }
  for (const std::int32_t token : row.banned_tokens) {
    if (LogitEdit* one = edit(token)) one->banned = 1;
  }
}

/// Below this a division by the temperature would overflow; the limit is greedy.
constexpr float kGreedyTemperature = 1e-5F;

/// The results of `log_probs`, one array after another, so that one copy brings them to the host.
struct LogProbArrays {
  std::size_t count = 0;
  std::size_t top = 0;
  [[nodiscard]] std::size_t words() const { return 2 * count * (1 + top); }
  [[nodiscard]] std::size_t ranks() const { return count; }
  [[nodiscard]] std::size_t top_tokens() const { return 2 * count; }
  [[nodiscard]] std::size_t top_logprobs() const { return 2 * count + count * top; }
};

/// The results of a step's sampling on their way to the host.
class SampledRows final : public PendingTokens {
 public:
  /// What was asked for, in words of the host's memory.
  struct Layout {
    std::size_t count = 0;
    std::vector<std::int32_t> sources;  ///< rows with log-probabilities
    std::vector<std::int32_t> wanted;   ///< of how many of the best, for each of them
    LogProbArrays arrays{};
    std::int64_t vocab = 0;
  };

  SampledRows(Layout layout, Buffer words, std::unique_ptr<DeviceEvent> done)
      : layout_(std::move(layout)), words_(std::move(words)), done_(std::move(done)) {}

  void wait(std::span<SampledToken> out) override {
    require(out.size() >= layout_.count, "sampled tokens");
    done_->wait();
    for (std::size_t i = 0; i < layout_.count; ++i) out[i] = SampledToken{.token = word(i)};
    for (std::size_t i = 0; i < layout_.sources.size(); ++i) {
      add_logprobs(i, out[static_cast<std::size_t>(layout_.sources[i])]);
    }
  }

 private:
  [[nodiscard]] std::int32_t word(std::size_t index) const {
    return static_cast<const std::int32_t*>(words_.data.get())[index];
  }
  [[nodiscard]] float as_float(std::size_t index) const {
    const std::int32_t bits = word(index);
    float value = 0.0F;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  }
  void add_logprobs(std::size_t i, SampledToken& sampled) const {
    if (sampled.token < 0) return;
    const std::size_t first = layout_.count;
    const LogProbArrays& arrays = layout_.arrays;
    sampled.logprob = as_float(first + i);
    sampled.rank = word(first + arrays.ranks() + i);
    const auto kept = static_cast<std::size_t>(std::min<std::int64_t>(layout_.wanted[i], layout_.vocab));
    for (std::size_t n = 0; n < kept; ++n) {
      sampled.top.push_back({word(first + arrays.top_tokens() + i * arrays.top + n),
                             as_float(first + arrays.top_logprobs() + i * arrays.top + n)});
    }
  }

  Layout layout_;
  Buffer words_;  ///< pinned
  std::unique_ptr<DeviceEvent> done_;
};

}  // namespace

void CudaOperations::sample(const SampleArgs& args) {
  if (args.rows.empty()) return;
  require(args.out.size() >= args.rows.size(), "sampled tokens");
  queue_sampling(args)->wait(args.out);
  wait();
}

std::unique_ptr<PendingTokens> CudaOperations::queue_sampling(const SampleArgs& args) {
  const auto count = args.rows.size();
  const std::int64_t vocab = args.logits.columns();
  const Rows logits = matrix(args.logits, static_cast<std::int64_t>(count), vocab, "logits");

  std::vector<LogitEdit> edits;
  std::vector<DrawRow> rows;
  std::vector<std::int32_t> sources;
  std::vector<std::int32_t> wanted;
  for (std::size_t i = 0; i < count; ++i) {
    const SampleRow& row = args.rows[i];
    add_edits(row, static_cast<std::int32_t>(i), vocab, edits);
    rows.push_back({.temperature = row.temperature < kGreedyTemperature ? 0.0F : row.temperature,
                    .top_k = row.top_k,
                    .top_p = row.top_p,
                    .min_p = row.min_p,
                    .uniform = uniform_draw(row.seed, row.position),
                    .allowed = stage_.on_device(row.allowed_bitmask),
                    .allowed_words = static_cast<std::int32_t>(row.allowed_bitmask.size())});
    if (row.num_logprobs < 0) continue;
    sources.push_back(static_cast<std::int32_t>(i));
    wanted.push_back(row.num_logprobs);
  }
  const LogProbArrays arrays{
      .count = sources.size(),
      .top = static_cast<std::size_t>(
          wanted.empty() ? 0 : std::min<std::int64_t>(vocab, *std::max_element(wanted.begin(), wanted.end())))};
  // Tokens first, then what log_probs gives, then the raw logits that it reads: the others overwrite theirs.
  const std::size_t raw_offset = (count + arrays.words() + 63) / 64 * 64;
  const std::size_t raw_words = sources.empty() ? 0 : count * static_cast<std::size_t>(vocab);
  auto* words = static_cast<std::int32_t*>(sampled_.ensure((raw_offset + raw_words) * sizeof(std::int32_t)));
  auto* raw = reinterpret_cast<float*>(words + raw_offset);
  for (const std::int32_t row : sources) {
    device_.copy_on_device(raw + row * vocab, logits.data + row * logits.stride,
                           static_cast<std::size_t>(vocab) * sizeof(float), stream_);
  }
  edit_logits({.logits = logits,
               .edits = stage_.on_device(std::span<const LogitEdit>(edits)),
               .count = static_cast<int>(edits.size())},
              stream_);
  draw_tokens({.logits = logits,
               .rows = stage_.on_device(std::span<const DrawRow>(rows)),
               .tokens = words,
               .count = static_cast<int>(count),
               .vocab = static_cast<int>(vocab)},
              stream_);
  std::int32_t* results = words + count;
  log_probs({.logits = {raw, vocab},
             .source = stage_.on_device(std::span<const std::int32_t>(sources)),
             .tokens = words,
             .wanted = stage_.on_device(std::span<const std::int32_t>(wanted)),
             .count = static_cast<int>(arrays.count),
             .vocab = static_cast<int>(vocab),
             .top = static_cast<int>(arrays.top),
             .logprobs = reinterpret_cast<float*>(results),
             .ranks = results + arrays.ranks(),
             .top_tokens = results + arrays.top_tokens(),
             .top_logprobs = reinterpret_cast<float*>(results + arrays.top_logprobs())},
            stream_);

  const std::size_t bytes = (count + arrays.words()) * sizeof(std::int32_t);
  Buffer host = host_results_.take(bytes);
  device_.copy_to_host(host.data.get(), words, bytes, stream_);
  return std::make_unique<SampledRows>(
      SampledRows::Layout{
          .count = count, .sources = std::move(sources), .wanted = std::move(wanted), .arrays = arrays, .vocab = vocab},
      std::move(host), device_.record_event(stream_));
}

void CudaOperations::feed_tokens(std::span<const std::int32_t> ids, std::span<const std::int32_t> rows) {
  require(ids.size() == rows.size(), "one row for each token id");
  const auto* tokens = static_cast<const std::int32_t*>(sampled_.get());
  require(tokens != nullptr, "tokens that were sampled");
  // The step's copy of the ids, which is the stage's own and not what the host gave.
  auto* to = const_cast<std::int32_t*>(stage_.on_device(ids));
  cuda::feed_tokens(
      {.tokens = tokens, .rows = stage_.on_device(rows), .ids = to, .count = static_cast<int>(ids.size())}, stream_);
}

}  // namespace krait::cuda
