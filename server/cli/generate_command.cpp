#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <iterator>

#include "server/cli/commands.h"
#include "server/cli/loading.h"
#include "server/cli/server_options.h"
#include "server/service/service.h"

namespace krait::server {
namespace {

/// A terminal would wait for a text that nobody knows to type, so there a prompt must be given.
std::string read_prompt(const GenerateFlags& flags) {
  if (flags.prompt.has_value()) return *flags.prompt;
  if (isatty(STDIN_FILENO) != 0) throw StartupError("no prompt: give --prompt TEXT, or pipe a text in");
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

/// The same request that HTTP makes, so that the same checks and defaults hold.
GenerationRequest make_request(const GenerateFlags& flags) {
  GenerationRequest request;
  const std::string prompt = read_prompt(flags);
  if (flags.chat) {
    ChatInput chat{.messages = nlohmann::ordered_json::array()};
    if (flags.system.has_value()) chat.messages.push_back({{"role", "system"}, {"content", *flags.system}});
    chat.messages.push_back({{"role", "user"}, {"content", prompt}});
    request.chat = std::move(chat);
  } else {
    request.prompts.emplace_back(prompt);
  }
  SamplingOptions& sampling = request.sampling;
  sampling.max_tokens = flags.max_tokens;
  sampling.temperature = flags.temperature;
  sampling.top_k = flags.top_k;
  sampling.top_p = flags.top_p;
  sampling.min_p = flags.min_p;
  sampling.seed = flags.seed;
  sampling.ignore_eos = flags.ignore_eos;
  request.stop = flags.stop;
  request.stream = true;
  return request;
}

/// Prints text as it comes.
int print_answer(Generation& generation) {
  for (;;) {
    const GenerationEvent event = generation.pop();
    if (const auto* delta = std::get_if<Delta>(&event)) {
      std::fwrite(delta->text.data(), 1, delta->text.size(), stdout);
      std::fflush(stdout);
    } else if (const auto* error = std::get_if<Error>(&event)) {
      std::fprintf(stderr, "krait: %s\n", error->message.c_str());
      return 1;
    } else if (std::holds_alternative<Completed>(event)) {
      std::fputc('\n', stdout);
      return 0;
    }
  }
}

}  // namespace

int run_generate(const CommandInput& input, const GenerateFlags& flags) {
  LoadOptions options = make_load_options(input.values, resolve_model_or_throw(input));
  options.on_progress = make_progress();
  GenerationRequest request = make_request(flags);
  LoadedModel model = load_model(input, options, input.model);
  model.served.formats = {};  // the terminal shows the text as the model writes it
  Service service(1);
  service.add_model(model.served);
  const std::unique_ptr<Generation> generation = service.generate(std::move(request));
  return print_answer(*generation);
}

}  // namespace krait::server
