#include <cstdio>
#include <memory>
#include <vector>

#include "bench/cache_bars/bar.h"
#include "bench/cache_bars/bar_shapes.h"
#include "bench/cache_bars/served_shape.h"

namespace krait::bench {
namespace {

constexpr std::size_t kLongPrompt = 8000;
constexpr int kStreams = 16;
/// Tokens a stream gives before the long prompt comes: where the median is taken.
constexpr std::size_t kQuietTokens = 60;

struct LongPromptRun {
  double median_alone = 0.0;  ///< seconds between two tokens of a stream, before and after the long prompt
  double p99_beside = 0.0;    ///< the same while it is computed
  double worst_beside = 0.0;
  double rate_alone = 0.0;   ///< tokens of the long prompt a second, on an idle engine, before and after the streams
  double rate_beside = 0.0;  ///< beside the streams
};

double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

/// Times between two tokens of a stream, of those pairs whose second came in (begin, end].
void collect_gaps(const Stream& stream, std::size_t skip, Clock::time_point begin, Clock::time_point end,
                  std::vector<double>& gaps) {
  const std::vector<Clock::time_point> times = stream.times();
  for (std::size_t i = std::max<std::size_t>(skip, 1); i < times.size(); ++i) {
    if (times[i] > begin && times[i] <= end) gaps.push_back(seconds(times[i] - times[i - 1]));
  }
}

/// From its arrival to its first token.
double prefill_rate(ServedShape& shape, std::uint64_t seed, Clock::time_point& begin, Clock::time_point& end) {
  begin = Clock::now();
  Stream prompt(shape.engine(), shape.request(shape.random_tokens(kLongPrompt, seed), 1));
  prompt.wait();
  end = prompt.times().front();
  return static_cast<double>(kLongPrompt) / seconds(end - begin);
}

using Streams = std::vector<std::unique_ptr<Stream>>;

/// Waits until every stream has `count` tokens more.
void wait_more(const Streams& streams, std::size_t count) {
  std::vector<std::size_t> wanted;
  for (const auto& stream : streams) wanted.push_back(stream->times().size() + count);
  for (std::size_t i = 0; i < streams.size(); ++i) streams[i]->wait_tokens(wanted[i]);
}

/// What the long prompt is compared with is measured on both sides of it: a machine that is shared changes its speed in
/// minutes.
LongPromptRun run() {
  LongPromptRun run;
  ServedShape shape(shape_350m());
  Clock::time_point begin;
  Clock::time_point end;
  const double rate_before = prefill_rate(shape, 71, begin, end);
  std::fprintf(stderr, "long_prompt: %.0f tokens/s alone, before\n", rate_before);
  std::vector<double> quiet;
  std::vector<double> beside;
  {
    Streams streams;
    const Clock::time_point start = Clock::now();
    for (int i = 0; i < kStreams; ++i) {
      Tokens prompt = shape.random_tokens(48, 80 + static_cast<std::uint64_t>(i));
      streams.push_back(std::make_unique<Stream>(shape.engine(), shape.request(std::move(prompt), 16000)));
    }
    wait_more(streams, kQuietTokens);
    const Clock::time_point quiet_end = Clock::now();
    run.rate_beside = prefill_rate(shape, 72, begin, end);
    const Clock::time_point quiet_again = Clock::now();
    wait_more(streams, kQuietTokens);
    const Clock::time_point last = Clock::now();
    for (const auto& stream : streams) {
      // The first tokens come while the others' prompts are computed.
      collect_gaps(*stream, 10, start, quiet_end, quiet);
      collect_gaps(*stream, 10, quiet_again, last, quiet);
      collect_gaps(*stream, 10, begin, end, beside);
    }
  }
  const double rate_after = prefill_rate(shape, 73, begin, end);
  run.rate_alone = 2.0 / (1.0 / rate_before + 1.0 / rate_after);
  run.median_alone = median(quiet);
  run.p99_beside = percentile(beside, 0.99);
  run.worst_beside = percentile(beside, 1.0);
  std::fprintf(stderr,
               "long_prompt: inter-token median %.1f ms, p99 %.1f ms without it; median %.1f ms, p99 %.1f ms, worst "
               "%.1f ms with it (%zu gaps); prefill %.0f tokens/s alone before, %.0f after, %.0f beside the streams\n",
               run.median_alone * 1e3, percentile(quiet, 0.99) * 1e3, median(beside) * 1e3, run.p99_beside * 1e3,
               run.worst_beside * 1e3, beside.size(), rate_before, rate_after, run.rate_beside);
  return run;
}

/// Both bars are of one run.
const LongPromptRun& the_run() {
  static const LongPromptRun result = run();
  return result;
}

}  // namespace

BarResult long_prompt_itl() { return below(the_run().p99_beside / the_run().median_alone, 3.0); }
BarResult long_prompt_rate() { return at_least(the_run().rate_beside / the_run().rate_alone, 0.4); }

}  // namespace krait::bench
