#include "server/cli/capacity_words.h"

#include "server/cli/sizes.h"

namespace krait::server {
namespace {

std::string count_words(std::int64_t count, const std::string& noun) {
  return grouped_digits(count) + " " + noun + (count == 1 ? "" : "s");
}

}  // namespace

std::string grouped_digits(std::int64_t number) {
  std::string text = std::to_string(number);
  const std::size_t first = number < 0 ? 1 : 0;
  for (std::size_t at = text.size(); at > first + 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

std::string capacity_words(const ModelSummary& summary) {
  const CacheCapacity& capacity = summary.cache_capacity;
  const bool has_state = summary.state_bytes_per_request > 0;
  std::string text = format_byte_size(summary.cache_budget_bytes) + ": ";
  if (capacity.tokens) text += count_words(*capacity.tokens, "token") + " of KV, or ";
  text += count_words(capacity.requests_of_usual_len, "request") + " of " + grouped_digits(capacity.usual_tokens) +
          " tokens";
  if (has_state) text += capacity.requests_of_usual_len == 1 ? " with its state" : " with their states";
  return text + " (" + format_byte_size(capacity.usual_request_bytes) + " each)";
}

std::string at_once_words(const ModelSummary& summary) {
  const CacheCapacity& capacity = summary.cache_capacity;
  return "at most " + count_words(capacity.requests, "request") + " at once, " +
         grouped_digits(capacity.requests_of_full_len) + " of " + grouped_digits(summary.max_model_len) + " tokens";
}

}  // namespace krait::server
