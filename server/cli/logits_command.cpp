#include <iostream>

#include "server/cli/commands.h"
#include "server/cli/loading.h"
#include "server/cli/logits_line.h"
#include "server/cli/server_options.h"

namespace krait::server {

int run_logits(const CommandInput& input) {
  LoadOptions options = make_load_options(input.values, resolve_model_or_throw(input));
  // For people who compare implementations: exact arithmetic unless they ask for another.
  if (!input.values.is_set("compute-dtype")) options.compute_dtype = DType::kFloat32;
  const auto model = ServingModel::load(options);
  std::string line;
  for (long long number = 0; std::getline(std::cin, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    std::cout << answer_logits_line(line, model->engine(), "logits-" + std::to_string(number)) << std::endl;
  }
  return 0;
}

}  // namespace krait::server
