#include "demo_model.h"

#include <fstream>
#include <nlohmann/json.hpp>

namespace krait::test {

std::vector<DemoCase> demo_cases() {
  const auto golden =
      nlohmann::json::parse(std::ifstream(std::string(KRAIT_SOURCE_DIR) + "/demo/aesop/goldens/golden.json"));
  std::vector<DemoCase> cases;
  for (const auto& item : golden.at("cases")) {
    cases.push_back({.prompt = item.at("prompt_ids").get<std::vector<std::int32_t>>(),
                     .ids = item.at("ids").get<std::vector<std::int32_t>>(),
                     .margins = item.at("margin").get<std::vector<double>>(),
                     .min_margin = item.at("min_margin").get<double>()});
  }
  return cases;
}

LoadOptions demo_options() {
  LoadOptions options;
  options.model_path = std::string(KRAIT_SOURCE_DIR) + "/demo/aesop";
  options.threads = 1;
  options.compute_dtype = DType::kFloat32;
  options.cache_memory.bytes = std::size_t{64} << 20;
  return options;
}

LoadOptions cold_options() {
  LoadOptions options = demo_options();
  options.enable_prefix_caching = false;
  return options;
}

LoadOptions folder_options(const std::string& folder) {
  LoadOptions options = demo_options();
  options.model_path = std::string(KRAIT_SOURCE_DIR) + "/" + folder;
  return options;
}

EngineRequest demo_request(const std::string& id, const std::vector<std::int32_t>& prompt, int max_tokens,
                           float temperature, std::uint64_t seed) {
  EngineRequest request;
  request.id = id;
  request.prompt = prompt;
  request.sampling.max_tokens = max_tokens;
  request.sampling.temperature = temperature;
  request.sampling.seed = seed;
  request.sampling.stop_token_ids = {0};
  request.sampling.logprobs = 0;
  return request;
}

Answer read_all(TokenStream& stream) {
  Answer answer;
  while (true) {
    const TokenEvent event = stream.pop();
    for (const SampledToken& token : event.tokens) {
      answer.ids.push_back(token.token);
      answer.logprobs.push_back(token.logprob);
    }
    if (!event.finish) continue;
    answer.finish = *event.finish;
    if (event.error) answer.error = event.error->message;
    return answer;
  }
}

std::vector<Answer> answer_together(Engine& engine, const std::vector<EngineRequest>& requests) {
  std::vector<std::shared_ptr<TokenStream>> streams;
  for (const EngineRequest& request : requests) streams.push_back(engine.submit(request).value());
  std::vector<Answer> answers;
  for (const auto& stream : streams) answers.push_back(read_all(*stream));
  return answers;
}

std::vector<Answer> answer_alone(Engine& engine, const std::vector<EngineRequest>& requests) {
  std::vector<Answer> answers;
  for (const EngineRequest& request : requests) answers.push_back(read_all(*engine.submit(request).value()));
  return answers;
}

}  // namespace krait::test
