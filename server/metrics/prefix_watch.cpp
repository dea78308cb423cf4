#include "server/metrics/prefix_watch.h"

#include <optional>
#include <utility>

namespace krait::server {

void PrefixWatch::watch(PrefixSetup setup, std::function<EngineStats()> stats) {
  setup_ = setup;
  stats_ = std::move(stats);
  watching_ = true;
}

void PrefixWatch::on_first_token(const std::string& model, std::chrono::duration<double> since_arrival) {
  next_.on_first_token(model, since_arrival);
}

void PrefixWatch::on_next_tokens(const std::string& model, std::chrono::duration<double> since_last, int tokens) {
  next_.on_next_tokens(model, since_last, tokens);
}

void PrefixWatch::on_choice_finished(const ChoiceRecord& record) {
  next_.on_choice_finished(record);
  if (!watching_) return;
  const EngineStats stats = stats_();
  if (stats.prefix_hit_tokens > 0) watching_ = false;
  const std::optional<std::string> reason = explain_no_hits(setup_, stats);
  // Of two threads that come here at once, one speaks.
  if (reason && watching_.exchange(false)) warn_(*reason);
}

}  // namespace krait::server
