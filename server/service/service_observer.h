#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "engine/request/token_stream.h"

namespace krait::server {

/// What is known about one choice when it ends.
struct ChoiceRecord {
  std::string model;
  FinishReason reason = FinishReason::kStop;
  RequestStats stats;
  std::int64_t generated_tokens = 0;
  std::chrono::steady_clock::time_point arrival;  ///< at the service, before templates and encoding
  std::chrono::steady_clock::time_point finished;
};

/// Who wants to know how requests fare (the metrics). Called on worker threads, so it must be thread-safe and quick.
class ServiceObserver {
 public:
  virtual ~ServiceObserver() = default;
  virtual void on_first_token(const std::string& model, std::chrono::duration<double> since_arrival) = 0;
  virtual void on_next_tokens(const std::string& model, std::chrono::duration<double> since_last, int tokens) = 0;
  virtual void on_choice_finished(const ChoiceRecord& record) = 0;
};

}  // namespace krait::server
