#include <filesystem>
#include <iostream>

#include "models/tokenizer/tokenizer.h"
#include "server/cli/commands.h"
#include "server/cli/hub.h"
#include "server/cli/json_lines.h"
#include "server/cli/tokenize_line.h"

namespace krait::server {
namespace {

/// A file is taken as it is; a folder needs nothing but a tokenizer.json; everything else is a Hub name.
std::string find_tokenizer_file(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (fs::is_regular_file(path, ignored)) return path;
  const auto lookup = [](const char* name) -> const char* { return std::getenv(name); };
  const fs::path folder = fs::is_directory(path, ignored) ? path : value_or_throw(resolve_model(path, lookup));
  return (folder / "tokenizer.json").string();
}

}  // namespace

int run_tokenize(const TokenizeFlags& flags) {
  const std::shared_ptr<const Tokenizer> tokenizer = value_or_throw(load_tokenizer(find_tokenizer_file(flags.path)));
  const bool done = answer_json_lines(std::cin, std::cout, [&](const nlohmann::ordered_json& line) {
    if (flags.stream_decode) return answer_stream_detokenize(line, tokenizer);
    return flags.decode ? answer_detokenize(line, *tokenizer) : answer_tokenize(line, *tokenizer);
  });
  return done ? 0 : 1;
}

}  // namespace krait::server
