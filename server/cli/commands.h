#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "server/cli/option_values.h"

namespace krait::server {

/// What every command is given: its options, merged from all sources.
struct CommandInput {
  OptionValues values;
  std::string model;  ///< as it was given; may be empty
  std::chrono::steady_clock::time_point process_start;
};

/// The flags of `krait generate` that are not options of the server.
struct GenerateFlags {
  std::optional<std::string> prompt;  ///< else standard input, when it is piped
  bool chat = false;
  std::optional<std::string> system;
  std::optional<long long> max_tokens;
  std::optional<double> temperature;
  std::optional<long long> top_k;
  std::optional<double> top_p;
  std::optional<double> min_p;
  std::optional<unsigned long long> seed;
  std::vector<std::string> stop;
  bool ignore_eos = false;
};

/// The flags of `krait info`.
struct InfoFlags {
  std::string format = "text";  ///< or "json"
  bool json = false;            ///< the same as the format "json"
  bool supported = false;       ///< the families that this version serves, instead of a model
};

/// The arguments of `krait tokenize`.
struct TokenizeFlags {
  std::string path;  ///< a folder with a tokenizer.json, such a file, or a Hub name
  bool decode = false;
  bool stream_decode = false;
};

/// The flags of `krait render`.
struct RenderFlags {
  std::string path;  ///< a folder, a template, or a Hub name
  std::string chat_template;
  std::optional<std::string> bos_token;
  std::optional<std::string> eos_token;
  std::string now;     ///< ISO 8601; empty: the machine's clock
  bool adapt = false;  ///< messages as the server would hand them to the template
};

/// The flags of `krait perplexity`.
struct PerplexityFlags {
  std::vector<std::string> files;
  std::optional<long long> context;  ///< tokens of a window
  std::optional<long long> stride;   ///< tokens between the beginnings of two windows; nullopt: the context
  bool reference = false;            ///< compare with the same checkpoint, in float32 and not quantised
  std::string reference_model;       ///< compare with this one; empty: the same
  std::string reference_compute_dtype;
  bool json = false;
};

/// The arguments of `krait quantize`.
struct QuantizeFlags {
  std::string source;  ///< a folder or a Hub name
  std::string target;
  std::string weights;
  std::optional<long long> group_size;
  std::vector<std::string> keep;  ///< MODULE=DTYPE
  long long threads = 0;
};

/// The flags of `krait bench engine`. Lists are as they were given: "512,2048".
struct EngineBenchFlags {
  std::string prompt = "512";
  std::string generate = "128";
  std::string depth = "0";
  std::string batch = "1";
  long long repetitions = 5;
  std::optional<long long> threads;
  bool json = false;
};

// Each returns the exit status of the process: 0, or 1 after it has printed what was wrong. StartupError is left to the
// caller.
int run_serve(const CommandInput& input);
int run_generate(const CommandInput& input, const GenerateFlags& flags);
int run_logits(const CommandInput& input);
int run_info(const CommandInput& input, const InfoFlags& flags);
int run_perplexity(const CommandInput& input, const PerplexityFlags& flags);
int run_engine_bench(const CommandInput& input, const EngineBenchFlags& flags);
int run_quantize(const QuantizeFlags& flags);
int run_tokenize(const TokenizeFlags& flags);
int run_render(const RenderFlags& flags);

}  // namespace krait::server
