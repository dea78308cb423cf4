#include <catch2/catch.hpp>

#include "server/metrics/metrics.h"
#include "server/service/service.h"
#include "tests/server/fake_engine.h"

namespace krait::server {
namespace {

TEST_CASE("The engine's counters are read at every scrape, under the names that dashboards know") {
  Metrics metrics;
  EngineStats stats;
  metrics.add_source({.model_name = "m", .stats = [&stats] { return stats; }});
  stats.requests_running = 3;
  stats.preemptions_total = 20;
  stats.mixed_steps_total = 100;
  stats.cache_bytes_used = 1;
  stats.cache_bytes_total = 4;
  stats.requests_finished_length = 7;
  const std::string text = metrics.text();
  for (const char* line : {
           "krait:num_requests_running{model_name=\"m\"} 3",
           "krait:num_requests_waiting{model_name=\"m\"} 0",
           "krait:kv_cache_usage_perc{model_name=\"m\"} 0.25",
           "krait:num_preemptions_total{model_name=\"m\"} 20",
           "krait:mixed_steps_total{model_name=\"m\"} 100",
           "krait:prompt_tokens_total{model_name=\"m\"} 0",
           "krait:generation_tokens_total{model_name=\"m\"} 0",
           "krait:request_success_total{finished_reason=\"length\",model_name=\"m\"} 7",
           "# TYPE krait:num_requests_running gauge",
           "# TYPE krait:num_preemptions_total counter",
       }) {
    INFO(line);
    CHECK_THAT(text, Catch::Contains(line));
  }
  stats.requests_running = 4;
  CHECK_THAT(metrics.text(), Catch::Contains("krait:num_requests_running{model_name=\"m\"} 4"));
}

TEST_CASE("Histograms fill as requests go by") {
  Metrics metrics;
  FakeEngine engine;
  Service service(1, &metrics);
  service.add_model(fake_model(engine));
  GenerationRequest request;
  request.prompts.emplace_back("abc");
  request.sampling.max_tokens = 5;
  const auto generation = service.generate(std::move(request));
  while (!is_last(generation->pop())) {
  }
  const std::string text = metrics.text();
  for (const char* line : {
           "krait:time_to_first_token_seconds_count{model_name=\"fake\"} 1",
           "krait:inter_token_latency_seconds_count{model_name=\"fake\"} 4",
           "krait:e2e_request_latency_seconds_count{model_name=\"fake\"} 1",
           "krait:request_queue_time_seconds_count{model_name=\"fake\"} 1",
           "krait:request_prefill_time_seconds_count{model_name=\"fake\"} 1",
           "krait:request_decode_time_seconds_count{model_name=\"fake\"} 1",
           "krait:request_prompt_tokens_sum{model_name=\"fake\"} 3",
           "krait:request_generation_tokens_sum{model_name=\"fake\"} 5",
       }) {
    INFO(line);
    CHECK_THAT(text, Catch::Contains(line));
  }
}

TEST_CASE("With --vllm-metrics the same numbers stand under vLLM's names and labels too") {
  EngineStats stats;
  stats.requests_running = 3;
  stats.prefix_queried_tokens = 70;
  stats.requests_finished_stop = 2;
  Metrics plain;
  plain.add_source({.model_name = "m", .stats = [&stats] { return stats; }});
  CHECK_THAT(plain.text(), !Catch::Contains("vllm:"));

  Metrics metrics(true);
  metrics.add_source({.model_name = "m", .stats = [&stats] { return stats; }});
  const auto now = std::chrono::steady_clock::now();
  metrics.on_first_token("m", std::chrono::duration<double>(0.02));
  metrics.on_next_tokens("m", std::chrono::duration<double>(0.02), 1);
  metrics.on_choice_finished({.model = "m",
                              .reason = FinishReason::kStop,
                              .stats = {.prompt_tokens = 5,
                                        .arrival = now,
                                        .first_scheduled = now,
                                        .first_token = now,
                                        .last_token = now + std::chrono::seconds(2)},
                              .generated_tokens = 2,
                              .arrival = now,
                              .finished = now});
  const std::string text = metrics.text();
  for (const char* line : {
           "krait:num_requests_running{model_name=\"m\"} 3",
           "vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 3",
           "vllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} 0",
           "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"m\"} 0",
           "vllm:gpu_cache_usage_perc{engine=\"0\",model_name=\"m\"} 0",
           "vllm:prefix_cache_queries_total{engine=\"0\",model_name=\"m\"} 70",
           "vllm:gpu_prefix_cache_hits_total{engine=\"0\",model_name=\"m\"} 0",
           "vllm:num_preemptions_total{engine=\"0\",model_name=\"m\"} 0",
           "vllm:prompt_tokens_total{engine=\"0\",model_name=\"m\"} 0",
           "vllm:generation_tokens_total{engine=\"0\",model_name=\"m\"} 0",
           "vllm:request_success_total{engine=\"0\",finished_reason=\"stop\",model_name=\"m\"} 2",
           "vllm:time_to_first_token_seconds_count{engine=\"0\",model_name=\"m\"} 1",
           "vllm:inter_token_latency_seconds_sum{engine=\"0\",model_name=\"m\"} 0.02",
           "vllm:time_per_output_token_seconds_sum{engine=\"0\",model_name=\"m\"} 0.02",
           "vllm:e2e_request_latency_seconds_count{engine=\"0\",model_name=\"m\"} 1",
           "vllm:request_queue_time_seconds_count{engine=\"0\",model_name=\"m\"} 1",
           "vllm:request_prefill_time_seconds_count{engine=\"0\",model_name=\"m\"} 1",
           "vllm:request_decode_time_seconds_sum{engine=\"0\",model_name=\"m\"} 2",
           "vllm:request_inference_time_seconds_sum{engine=\"0\",model_name=\"m\"} 2",
           "vllm:request_prompt_tokens_sum{engine=\"0\",model_name=\"m\"} 5",
           "vllm:request_generation_tokens_sum{engine=\"0\",model_name=\"m\"} 2",
           "# TYPE vllm:num_preemptions_total counter",
           "# TYPE vllm:time_to_first_token_seconds histogram",
       }) {
    INFO(line);
    CHECK_THAT(text, Catch::Contains(line));
  }
  // What vLLM has not keeps our name only.
  CHECK_THAT(text, !Catch::Contains("vllm:state_slots_used"));
}

}  // namespace
}  // namespace krait::server
