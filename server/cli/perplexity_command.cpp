#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "server/cli/commands.h"
#include "server/cli/loading.h"
#include "server/cli/perplexity.h"
#include "server/cli/server_options.h"

namespace krait::server {
namespace {

using nlohmann::ordered_json;
using Tokens = std::vector<std::int32_t>;

constexpr int kDefaultContext = 512;

struct Text {
  std::string file;
  Tokens tokens;
};

struct WindowSize {
  std::size_t context = 0;
  std::size_t stride = 0;
};

/// What a text, or all of them, gave.
struct Score {
  LikelihoodSum model;
  LikelihoodSum reference;
  DifferenceSum difference;
};

/// The model, and what it is compared with (null: nothing).
struct Pair {
  std::unique_ptr<ServingModel> model;
  std::unique_ptr<ServingModel> reference;
};

bool wants_reference(const PerplexityFlags& flags) {
  return flags.reference || !flags.reference_model.empty() || !flags.reference_compute_dtype.empty();
}

/// Changes an option, with the checks that it has on the command line.
void set_option(OptionValues& values, const char* name, const std::string& text, const std::string& source) {
  if (const OptionSpec* spec = find_option(name)) value_or_throw(values.set(*spec, {text}, source));
}

/// The same command for another model: float32 unless told otherwise, and weights as its checkpoint has them.
LoadOptions make_reference_options(const CommandInput& input, const PerplexityFlags& flags) {
  CommandInput reference = input;
  if (!flags.reference_model.empty()) reference.model = flags.reference_model;
  const std::string dtype = flags.reference_compute_dtype.empty() ? "float32" : flags.reference_compute_dtype;
  set_option(reference.values, "compute-dtype", dtype, "--reference-compute-dtype");
  set_option(reference.values, "quantization", "none", "--reference");
  for (const char* cache : {"kv-cache-dtype", "mamba-cache-dtype", "mamba-ssm-cache-dtype"}) {
    set_option(reference.values, cache, "auto", "--reference");
  }
  set_option(reference.values, "enable-mamba-cache-stochastic-rounding", "false", "--reference");
  set_option(reference.values, "mamba-cache-philox-rounds", "0", "--reference");
  LoadOptions options = make_load_options(reference.values, resolve_model_or_throw(reference));
  options.cache_dir.clear();
  return options;
}

Pair load_pair(const CommandInput& input, const PerplexityFlags& flags) {
  LoadOptions options = make_load_options(input.values, resolve_model_or_throw(input));
  options.on_progress = make_progress();
  Pair pair{.model = ServingModel::load(options), .reference = nullptr};
  if (!wants_reference(flags)) return pair;
  options = make_reference_options(input, flags);
  options.on_progress = make_progress();
  pair.reference = ServingModel::load(options);
  const int found = pair.reference->summary().vocab_size;
  const int expected = pair.model->summary().vocab_size;
  if (found != expected) {
    throw StartupError("--reference-model has a vocabulary of " + std::to_string(found) + ", the model one of " +
                       std::to_string(expected) + ": their distributions cannot be compared");
  }
  return pair;
}

Text read_text(const std::string& file, const Tokenizer& tokenizer) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw StartupError("--file " + file + ": cannot be read");
  const std::string bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (in.bad()) throw StartupError("--file " + file + ": cannot be read");
  Result<Tokens> tokens = tokenizer.encode(bytes, {});
  if (!tokens.ok()) throw StartupError("--file " + file + ": " + tokens.error().message);
  if (tokens->size() < 2) {
    throw StartupError("--file " + file + " has " + std::to_string(tokens->size()) +
                       " tokens: at least 2 are needed to score one");
  }
  return {.file = file, .tokens = std::move(*tokens)};
}

/// Before the weights, so that a file's name that is wrong is found at once. Without a tokenizer there is nothing to
/// score.
std::vector<Text> read_texts(const CommandInput& input, const PerplexityFlags& flags) {
  if (input.values.flag("skip-tokenizer-init")) {
    throw StartupError("--skip-tokenizer-init cannot be given here: texts need the tokenizer");
  }
  const auto tokenizer = make_tokenizer(input.values, resolve_model_or_throw(input));
  std::vector<Text> texts;
  for (const std::string& file : flags.files) texts.push_back(read_text(file, *tokenizer));
  return texts;
}

void check_vocabulary(const std::vector<Text>& texts, int vocab_size) {
  for (const Text& text : texts) {
    const std::int32_t largest = *std::ranges::max_element(text.tokens);
    if (largest < vocab_size) continue;
    throw StartupError("--file " + text.file + ": the tokenizer gives token " + std::to_string(largest) +
                       ", but the model's vocabulary has " + std::to_string(vocab_size));
  }
}

WindowSize make_window_size(const PerplexityFlags& flags, const Pair& pair) {
  int limit = pair.model->summary().max_model_len;
  if (pair.reference) limit = std::min(limit, pair.reference->summary().max_model_len);
  const long long context = flags.context.value_or(std::min(kDefaultContext, limit));
  if (context < 2 || context > limit) {
    throw StartupError("--context is " + std::to_string(context) + ". Valid: 2 to " + std::to_string(limit) +
                       " tokens, the model's maximum");
  }
  const long long stride = flags.stride.value_or(context);
  if (stride < 1 || stride > context) {
    throw StartupError("--stride is " + std::to_string(stride) + ". Valid: 1 to " + std::to_string(context) +
                       " tokens, the context");
  }
  return {.context = static_cast<std::size_t>(context), .stride = static_cast<std::size_t>(stride)};
}

EngineRequest make_request(const Tokens& prompt) {
  EngineRequest request;
  request.id = "perplexity";
  request.prompt = prompt;
  request.sampling.temperature = 0.0F;
  request.sampling.max_tokens = 0;
  return request;
}

/// Calls `take` for every event of a request.
template <typename Take>
void run_request(Engine& engine, EngineRequest request, Take take) {
  const auto stream = value_or_throw(engine.submit(std::move(request)));
  for (;;) {
    TokenEvent event = stream->pop();
    if (event.error) throw StartupError(*event.error);
    take(event);
    if (event.finish) return;
  }
}

/// The log-probability of each token from the second on.
std::vector<double> score_prompt(Engine& engine, const Tokens& prompt) {
  EngineRequest request = make_request(prompt);
  request.prompt_logprobs = 0;
  std::vector<double> scores;
  run_request(engine, std::move(request), [&](const TokenEvent& event) {
    for (const SampledToken& token : event.prompt) scores.push_back(static_cast<double>(token.logprob));
  });
  return scores;
}

std::vector<std::vector<float>> prompt_rows(Engine& engine, const Tokens& prompt) {
  EngineRequest request = make_request(prompt);
  request.prompt_logits = PromptLogits::kAll;
  std::vector<std::vector<float>> rows;
  run_request(engine, std::move(request), [&](TokenEvent& event) {
    for (auto& row : event.logits) rows.push_back(std::move(row));
  });
  return rows;
}

void score_window(const Pair& pair, const Tokens& tokens, const ScoredWindow& window, Score& score) {
  const auto at = [&](std::size_t index) { return tokens.begin() + static_cast<std::ptrdiff_t>(index); };
  const Tokens prompt(at(window.begin), at(window.end));
  const std::size_t skipped = window.first_scored - window.begin - 1;  // rows whose next token is not scored
  if (!pair.reference) {
    const std::vector<double> scores = score_prompt(pair.model->engine(), prompt);
    for (std::size_t i = skipped; i < scores.size(); ++i) score.model.add(scores[i]);
    return;
  }
  const auto reference = prompt_rows(pair.reference->engine(), prompt);
  const auto rows = prompt_rows(pair.model->engine(), prompt);
  for (std::size_t i = skipped; i + 1 < prompt.size(); ++i) {
    score.model.add(log_probability(rows[i], prompt[i + 1]));
    score.reference.add(log_probability(reference[i], prompt[i + 1]));
    score.difference.add(compare_rows(reference[i], rows[i]));
  }
}

double change_percent(const Score& score) {
  return (score.model.perplexity() / score.reference.perplexity() - 1.0) * 100.0;
}

ordered_json score_json(const Score& score, bool compared) {
  ordered_json out = {{"scored_tokens", score.model.tokens()},
                      {"mean_nll", score.model.mean()},
                      {"perplexity", score.model.perplexity()}};
  if (!compared) return out;
  out["reference_perplexity"] = score.reference.perplexity();
  out["perplexity_change_percent"] = change_percent(score);
  out["mean_kl_divergence"] = score.difference.mean_divergence();
  out["p99_kl_divergence"] = score.difference.divergence_percentile(0.99);
  out["max_kl_divergence"] = score.difference.divergence_percentile(1.0);
  out["top1_agreement"] = score.difference.same_best();
  return out;
}

ordered_json model_json(const ModelSummary& summary, const std::string& weights) {
  return {{"model", summary.path},
          {"compute_dtype", dtype_name(summary.compute_dtype)},
          {"quantization", weights},
          {"platform", summary.platform}};
}

void print_score(const char* name, const Score& score, bool compared) {
  std::printf("%s: perplexity %.4f (%lld tokens, mean nll %.6f)\n", name, score.model.perplexity(),
              static_cast<long long>(score.model.tokens()), score.model.mean());
  if (!compared) return;
  std::printf(
      "  reference perplexity %.4f, change %+.4f %%; KL divergence mean %.3e, 99th percentile %.3e, largest %.3e; same "
      "best token %.3f %%\n",
      score.reference.perplexity(), change_percent(score), score.difference.mean_divergence(),
      score.difference.divergence_percentile(0.99), score.difference.divergence_percentile(1.0),
      score.difference.same_best() * 100.0);
}

/// Scores of the single rows are kept for percentiles, so a total is counted beside the files' own.
struct Report {
  std::vector<Score> files;
  Score total;
};

Report score_texts(const Pair& pair, const std::vector<Text>& texts, const WindowSize& size) {
  Report report;
  for (const Text& text : texts) {
    Score& score = report.files.emplace_back();
    for (const ScoredWindow& window : cut_windows(text.tokens.size(), size.context, size.stride)) {
      score_window(pair, text.tokens, window, score);
    }
    report.total.model.add(score.model);
    report.total.reference.add(score.reference);
    report.total.difference.add(score.difference);
  }
  return report;
}

}  // namespace

int run_perplexity(const CommandInput& input, const PerplexityFlags& flags) {
  const std::vector<Text> texts = read_texts(input, flags);
  const Pair pair = load_pair(input, flags);
  const bool compared = pair.reference != nullptr;
  const ModelSummary& summary = pair.model->summary();
  const WindowSize size = make_window_size(flags, pair);
  check_vocabulary(texts, summary.vocab_size);
  const Report report = score_texts(pair, texts, size);
  if (!flags.json) {
    for (std::size_t i = 0; i < texts.size(); ++i) print_score(texts[i].file.c_str(), report.files[i], compared);
    if (texts.size() > 1) print_score("all", report.total, compared);
    return 0;
  }
  ordered_json out = model_json(summary, describe_weights(input.values, summary));
  if (compared) {
    const std::string& quantization = pair.reference->summary().quantization;
    out["reference"] = model_json(pair.reference->summary(), quantization.empty() ? "none" : quantization);
  }
  out["context"] = size.context;
  out["stride"] = size.stride;
  out.update(score_json(report.total, compared));
  for (std::size_t i = 0; i < texts.size(); ++i) {
    ordered_json file = {{"file", texts[i].file}, {"tokens", texts[i].tokens.size()}};
    file.update(score_json(report.files[i], compared));
    out["files"].push_back(file);
  }
  std::cout << out.dump() << "\n";
  return 0;
}

}  // namespace krait::server
