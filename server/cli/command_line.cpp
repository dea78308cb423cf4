#include "server/cli/command_line.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>

#include "server/cli/commands.h"
#include "server/cli/measuring_flags.h"

namespace krait::server {
namespace {

/// The flags of one command, bound from the option table, and what the user gave for them.
class OptionFlags {
 public:
  OptionFlags(CLI::App& command, bool serve) {
    command.add_option("MODEL", model_, "A folder, or a Hub name in the local Hugging Face cache");
    command.add_option("--config", config_, "A YAML file; its keys are the flags' names")->type_name("FILE");
    for (const OptionSpec& spec : option_table()) {
      if (spec.name == "model" || (spec.scope == kServeOnly && !serve)) continue;
      bind(command, spec);
    }
  }

  /// Merges file, environment and command line, in rising order.
  [[nodiscard]] Result<CommandInput> collect() const {
    CommandInput input;
    const auto lookup = [](const char* name) -> const char* { return std::getenv(name); };
    if (!config_.empty()) {
      if (Status status = read_config_file(config_, input.values); !status.ok()) return status.error();
    }
    if (Status status = read_environment(lookup, input.values); !status.ok()) return status.error();
    for (const auto& [name, texts] : texts_) {
      if (texts.empty()) continue;
      if (Status status = input.values.set(*find_option(name), texts, "--" + name); !status.ok()) return status.error();
    }
    input.model = model_.empty() ? input.values.text("model").value_or("") : model_;
    return input;
  }

 private:
  void bind(CLI::App& command, const OptionSpec& spec) {
    const std::string name(spec.name);
    const std::string flag = "--" + name;
    std::vector<std::string>& texts = texts_[name];
    std::string help(spec.help);
    if (!spec.default_text.empty()) help += " [" + std::string(spec.default_text) + "]";
    if (spec.type == OptionType::kFlag) {
      command.add_flag_callback(
          flag, [&texts] { texts = {"true"}; }, help);
      if (spec.default_text != "true") return;
      command.add_flag_callback(
          "--no-" + name, [&texts] { texts = {"false"}; }, "Turns " + flag + " off.");
      return;
    }
    // One value a flag, so that a list does not swallow MODEL; of a repeated flag the last one counts, unless it is a
    // list.
    const bool list = spec.type == OptionType::kPairs;
    command
        .add_option_function<std::string>(
            flag, [&texts, list](const std::string& text) { list ? texts.push_back(text) : texts.assign({text}); },
            help)
        ->type_name(std::string(spec.value_name))
        ->multi_option_policy(list ? CLI::MultiOptionPolicy::TakeAll : CLI::MultiOptionPolicy::TakeLast)
        ->trigger_on_parse();
  }

  std::string model_;
  std::string config_;
  std::map<std::string, std::vector<std::string>> texts_;
};

/// Logs go to standard error: standard output belongs to what a command prints.
void start_logging(const OptionValues& values) {
  auto logger = spdlog::stderr_color_mt("krait");
  logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  logger->set_level(spdlog::level::from_str(values.text("log-level").value_or("info")));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

void add_generate_flags(CLI::App& command, GenerateFlags& flags) {
  command.add_option("--prompt", flags.prompt, "The text to continue; else standard input")->type_name("TEXT");
  command.add_flag("--chat", flags.chat, "Use the chat template: the prompt is the user's message");
  command.add_option("--system", flags.system, "With --chat: the system message")->type_name("TEXT");
  command.add_option("--max-tokens", flags.max_tokens, "Tokens to generate at most")->type_name("N");
  command.add_option("--temperature", flags.temperature, "0 is greedy [1]")->type_name("T");
  command.add_option("--top-k", flags.top_k, "Draw from the K most likely tokens")->type_name("K");
  command.add_option("--top-p", flags.top_p, "Draw from the most likely tokens that hold this share")->type_name("P");
  command.add_option("--min-p", flags.min_p, "Drop tokens less likely than this share of the best")->type_name("P");
  command.add_option("--seed", flags.seed, "The same seed gives the same text")->type_name("N");
  command.add_option("--stop", flags.stop, "Stop before this text; may be repeated")
      ->type_name("TEXT")
      ->allow_extra_args(false);
  command.add_flag("--ignore-eos", flags.ignore_eos, "Go on after the end of the text");
}

void add_info_flags(CLI::App& command, InfoFlags& flags) {
  command.add_option("--format", flags.format, "text or json [text]")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"text", "json"}));
  command.add_flag("--json", flags.json, "The same as --format json");
  command.add_flag("--supported", flags.supported, "Print the families that this version serves, as a Markdown table");
}

constexpr const char* kTokenizeHelp =
    "JSON lines in, JSON lines out: one answer a line, {\"error\": ...} for a line that fails.\n"
    "  {\"text\": \"...\", \"add_special_tokens\": true}  ->  {\"ids\": [...], \"tokens\": [...]}\n"
    "  --decode:         {\"ids\": [...], \"skip_special_tokens\": true}  ->  {\"text\": \"...\"}\n"
    "  --stream-decode:  {\"ids\": [...], \"skip_special_tokens\": true}  ->  {\"pieces\": [...]}\n"
    "add_special_tokens and skip_special_tokens may be left out; they are true then.";

/// It needs no model, only a tokenizer, so it takes none of the options of models.
void add_tokenize_flags(CLI::App& command, TokenizeFlags& flags) {
  command.footer(kTokenizeHelp);
  command.add_option("PATH", flags.path, "A model folder, a tokenizer.json, or a Hub name in the local cache")
      ->required();
  CLI::Option* decode = command.add_flag("--decode", flags.decode, "From ids to text");
  command.add_flag("--stream-decode", flags.stream_decode, "From ids to a piece of text for each, and one for the end")
      ->excludes(decode);
}

constexpr const char* kRenderHelp =
    "JSON lines in, JSON lines out: one answer a line, {\"error\": ...} for a line that fails.\n"
    "  {\"messages\": [...], \"tools\": [...], \"documents\": [...], \"add_generation_prompt\": true,\n"
    "   \"continue_final_message\": false, \"kwargs\": {...}, \"template\": \"NAME\"}  ->  {\"text\": \"...\"}\n"
    "All but messages may be left out. continue_final_message may name the field to go on with.";

void add_render_flags(CLI::App& command, RenderFlags& flags) {
  command.footer(kRenderHelp);
  command.add_option("PATH", flags.path, "A model folder, a template (.jinja), or a Hub name in the local cache")
      ->required();
  command.add_option("--chat-template", flags.chat_template, "A file, or the name of one of the model's templates")
      ->type_name("FILE|NAME");
  command.add_option("--bos-token", flags.bos_token, "What bos_token is in the template")->type_name("TEXT");
  command.add_option("--eos-token", flags.eos_token, "What eos_token is in the template")->type_name("TEXT");
  command.add_option("--now", flags.now, "The time that the template sees, as 2025-03-09T14:05:07; else the clock's")
      ->type_name("ISO-8601");
  command.add_flag("--adapt", flags.adapt,
                   "Bring content and tool calls into the form that the template takes first, as the server does");
}

constexpr const char* kQuantizeHelp =
    "Writes a checkpoint whose weights are integers, with the same numbers as --quantization makes at load. Names and\n"
    "layout are those of compressed-tensors (pack-quantized); tokenizer and other files are copied.";

/// It takes none of the options of models: nothing of it depends on how one is served.
void add_quantize_flags(CLI::App& command, QuantizeFlags& flags) {
  command.footer(kQuantizeHelp);
  command.add_option("SRC", flags.source, "A model folder, or a Hub name in the local cache")->required();
  command.add_option("DST", flags.target, "A new or empty folder")->required();
  command.add_option("--weights", flags.weights, "int8 or int4")
      ->type_name("FORM")
      ->check(CLI::IsMember({"int8", "int4"}))
      ->required();
  command.add_option("--group-size", flags.group_size, "Inputs that share a scale [128 for int8, 32 for int4]")
      ->type_name("N");
  command.add_option("--keep", flags.keep, "Leave the weights of a module in float: lm_head=bf16; may be repeated")
      ->type_name("MODULE=bf16|f16|f32")
      ->allow_extra_args(false);
  command.add_option("--threads", flags.threads, "Threads that compute; 0 takes every core [0]")
      ->type_name("N")
      ->check(CLI::Range(0, 4096));
}

/// The command line: commands, their flags, and what to call for each.
class CommandLine {
 public:
  explicit CommandLine(std::chrono::steady_clock::time_point start) : start_(start) {
    app_.require_subcommand(1);
    app_.set_version_flag("--version", KRAIT_VERSION);
    add("serve", "Serve a model over HTTP and gRPC", true, [](const CommandInput& input) { return run_serve(input); });
    CLI::App& generate = add("generate", "Continue a prompt in the terminal", false,
                             [this](const CommandInput& input) { return run_generate(input, generate_flags_); });
    add_generate_flags(generate, generate_flags_);
    add("logits", "JSON lines of token ids in, logits and greedy tokens out", false,
        [](const CommandInput& input) { return run_logits(input); });
    CLI::App& perplexity =
        add("perplexity", "How well a model predicts texts, and how far it is from a reference run", false,
            [this](const CommandInput& input) { return run_perplexity(input, perplexity_flags_); });
    add_perplexity_flags(perplexity, perplexity_flags_);
    CLI::App& bench = *app_.add_subcommand("bench", "Measure speed")->require_subcommand(1);
    CLI::App& engine = add(bench, "engine", "Tokens a second of prompts and of generation, without a server", false,
                           [this](const CommandInput& input) { return run_engine_bench(input, engine_bench_flags_); });
    add_engine_bench_flags(engine, engine_bench_flags_);
    CLI::App& info = add("info", "What a model is made of and what it will cost", false,
                         [this](const CommandInput& input) { return run_info(input, info_flags_); });
    add_info_flags(info, info_flags_);
    CLI::App& quantize = *app_.add_subcommand("quantize", "Write a checkpoint with weights of 8 or 4 bits");
    add_quantize_flags(quantize, quantize_flags_);
    quantize.callback([this] { action_ = [this] { return run_quantize(quantize_flags_); }; });
    CLI::App& tokenize = *app_.add_subcommand("tokenize", "JSON lines of text in, token ids out; or the other way");
    add_tokenize_flags(tokenize, tokenize_flags_);
    tokenize.callback([this] { action_ = [this] { return run_tokenize(tokenize_flags_); }; });
    CLI::App& render = *app_.add_subcommand("render", "JSON lines of conversations in, prompts out");
    add_render_flags(render, render_flags_);
    render.callback([this] { action_ = [this] { return run_render(render_flags_); }; });
    app_.add_subcommand("version", "Print the version")->callback([this] {
      action_ = [] {
        std::cout << "krait " << KRAIT_VERSION << "\n";
        return 0;
      };
    });
    app_.add_subcommand("docs-configuration", "Print docs/configuration.md")->group("")->callback([this] {
      action_ = [] {
        std::cout << configuration_markdown();
        return 0;
      };
    });
  }

  int run(int argc, char** argv) {
    if (argc > 1 && argv[1][0] != '-' && !is_command(argv[1])) {
      std::cerr
          << "krait: unknown command '" << argv[1]
          << "'. Commands: serve, generate, logits, perplexity, bench, info, quantize, tokenize, render, version\n";
      return 1;
    }
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app_.exit(error);
    }
    return action_();
  }

 private:
  using Command = std::function<int(const CommandInput&)>;

  [[nodiscard]] bool is_command(const std::string& word) const {
    const auto named = app_.get_subcommands([&](const CLI::App* command) { return command->get_name() == word; });
    return !named.empty();
  }

  CLI::App& add(const char* name, const char* help, bool serve, Command command) {
    return add(app_, name, help, serve, std::move(command));
  }

  CLI::App& add(CLI::App& parent, const char* name, const char* help, bool serve, Command command) {
    CLI::App& app = *parent.add_subcommand(name, help);
    auto flags = std::make_shared<OptionFlags>(app, serve);
    app.callback([this, flags, command = std::move(command)] {
      action_ = [this, flags, command] {
        CommandInput input = value_or_throw(flags->collect());
        input.process_start = start_;
        start_logging(input.values);
        return command(input);
      };
    });
    return app;
  }

  std::chrono::steady_clock::time_point start_;
  CLI::App app_{"Krait serves hybrid Mamba/attention language models.", "krait"};
  std::function<int()> action_;
  GenerateFlags generate_flags_;
  InfoFlags info_flags_;
  QuantizeFlags quantize_flags_;
  PerplexityFlags perplexity_flags_;
  EngineBenchFlags engine_bench_flags_;
  TokenizeFlags tokenize_flags_;
  RenderFlags render_flags_;
};

}  // namespace

int run_command_line(int argc, char** argv) {
  const auto start = std::chrono::steady_clock::now();
  try {
    return CommandLine(start).run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "krait: " << error.what() << "\n";
    return 1;
  }
}

}  // namespace krait::server
